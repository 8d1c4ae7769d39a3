import { readFileSync } from 'node:fs'

/** The test vectors in docs/vectors, which other implementations read as well; everything in hexadecimal unless said. */
export interface Vectors {
  'pairing.json': PairingVector[]
  'announcements.json': AnnouncementVector[]
  'records.json': RecordVector[]
  'presence.json': PresenceVector[]
  'hello.json': HelloVector[]
  'frames.json': {
    frames: FrameVector[]
    skipped: Pick<FrameVector, 'note' | 'frame'>[]
    refused: { why: string; bytes: string }[]
  }
  'revocations.json': RevocationVector[]
  'relay-access.json': RelayAccessVector[]
  'tls.json': TlsVector[]
  'presence-chains.json': PresenceChainVector[]
}

export function vectors<Name extends keyof Vectors>(name: Name): Vectors[Name] {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Vectors[Name]
}

export function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16))
}

export function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const folder = new URL('../docs/vectors/', import.meta.url)

/** A whole pairing: docs/vectors/pairing.json. */
export interface PairingVector {
  name: string
  entropy: string
  words: string
  initiator: VectorParty
  joiner: VectorParty
  codeKeys: Record<
    | 'prk'
    | 'sessionId'
    | 'signingKey'
    | 'recordKey'
    | 'joinerSigningKey'
    | 'joinerRecordKey'
    | 'probeKey'
    | 'announcementKey'
    | 'authKey',
    string
  >
  agreedKeys: Record<
    | 'sharedSecret'
    | 'root'
    | 'joinerProof'
    | 'initiatorProof'
    | 'acknowledgement'
    | 'joinerSeal'
    | 'initiatorSeal',
    string
  >
  transcript: Record<
    'start' | 'request' | 'challenge' | 'opening' | 'response' | 'proved' | 'complete',
    string
  >
  digits: string
  pairKey: string
  messages: Record<
    'PairingRequest' | 'Challenge' | 'Response' | 'Complete' | 'Confirmed',
    Record<string, unknown>
  >
  requestRefusals: Record<string, string>
  responseRefusals: Record<string, string>
  cancels: Record<'initiator' | 'joiner', string>
}

interface VectorParty {
  peerId: string
  name: string
  nonce: string
  secret: string
  share: string
}

/** A record under keys that follow from the words (`entropy`) or from a pair key and an epoch: docs/vectors/records.json. */
export interface RecordVector {
  name: string
  entropy?: string
  pairKey?: string
  epoch?: number
  signingSeed: string
  recordKey: string
  peer: string
  addresses: string[]
  sequence: string
  validUntil: string
  nonce: string
  routingKey: string
  /** base64url */
  record: string
}

export interface PresenceVector {
  pairKey: string
  /** Base58btc peer id. */
  writer: string
  wallClockMs: number
  epoch: number
  signingSeed: string
  recordKey: string
}

export interface HelloVector {
  name: string
  dialer: HelloParty & { keyIds: string[] }
  listener: HelloParty
  /** The pair key that both prove. */
  chosen: string
  derived: Record<'keyIdKey' | 'proofKey' | 'sealKey' | 'listenerProof' | 'dialerProof', string>
  /** First records that each side sends. */
  sealed: Record<'dialer' | 'listener', { key: string; records: { bytes: string; record: string }[] }>
  /** Whole, with their headers. */
  frames: Record<'dialerHello' | 'listenerHello' | 'dialerProof', string>
}

interface HelloParty {
  /** Base58btc. */
  peerId: string
  peerIdBytes: string
  instance: string
  nonce: string
  /** Newest first. */
  pairKeys: string[]
}

export interface FrameVector {
  note: string
  type: string
  more: boolean
  channel: number
  payload: string
  /** Header and payload. */
  frame: string
}

export interface RevocationVector {
  name: string
  pairKey: string
  /** Base58btc peer ids. */
  from: string
  to: string
  noticeKey: string
  notice: string
}

/** Keys of TLS, an identity, and the hello of the session over it: docs/vectors/tls.json. */
export interface TlsVector {
  name: string
  /** Base58btc peer ids. */
  dialer: string
  listener: string
  pairKey: string
  psk: string
  identityKey: string
  nonce: string
  /** base64url */
  identity: string
  binding: string
  hello: Record<
    | 'dialerInstance'
    | 'dialerNonce'
    | 'listenerInstance'
    | 'listenerNonce'
    | 'dialerHello'
    | 'listenerHello'
    | 'dialerProof',
    string
  >
}

export interface RelayAccessVector {
  secret: string
  /** What stands behind the address, with its `#`. */
  suffix: string
  /** Base58btc. */
  relay: string
  device: string
  proof: string
}

/** An announcement with a mark: docs/vectors/announcements.json. */
export interface AnnouncementVector {
  entropy: string
  announcementKey: string
  role: 'initiator' | 'joiner'
  peerId: string
  strings: string[]
}

export interface PresenceChainVector {
  told: { epoch: number; key: string; publicKey: string }
  seed: string
  epoch: number
  chainKey: string
  blindedKey: string
  recordKey: string
  routingKey: string
  message: string
  signature: string
}
