import { randomBytes } from 'node:crypto'
import { libp2pPeer } from '../../libp2p-peer.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { decodeTlsIdentity, derivePsk, identityNonceBytes, TlsIdentities } from './tls-identity.ts'

/** Pair keys of this device, as they are just now. */
export interface PairKeys {
  /** Every key by which a device may prove that it is paired: two at most of a device, the newest first. */
  pairKeys(): readonly { peer: PeerId; key: Uint8Array }[]
  /** Calls back when they have changed. */
  onPairKeysChanged(listener: () => void): void
}

/** Pre-shared key of a TLS handshake, with the name by which the dialling side says which it is. */
export interface TlsSecret {
  psk: Uint8Array
  identity: string
}

/** What follows from one pair key. */
interface KnownKey {
  peer: PeerId
  pairKey: Uint8Array
  psk: Uint8Array
  /** Identities by which this device dials the other, and the other this one. */
  outbound: TlsIdentities
  inbound: TlsIdentities
}

/** Identities that are remembered, so that none is answered twice: the oldest is forgotten. Some 2 MiB. */
const maxUsed = 16_384

/** Secrets of TLS connections with the devices that are paired now. */
export class TlsSecrets {
  readonly #localPeer: Uint8Array
  readonly #pairKeys: PairKeys
  #known: readonly KnownKey[] = []
  /** Whether the pair keys have not changed since these were derived. */
  #isCurrent = false
  /** Identities that were answered, the oldest first. */
  readonly #used = new Set<string>()

  constructor(localPeer: PeerId, pairKeys: PairKeys) {
    this.#localPeer = idBytes(localPeer)
    this.#pairKeys = pairKeys
    pairKeys.onPairKeysChanged(() => (this.#isCurrent = false))
  }

  /** Makes the secret for a connection to this device, never twice the same; null when it is not paired. `key`: which pair key it is. */
  toDial(peer: PeerId): (TlsSecret & { key: Uint8Array }) | null {
    const known = this.#all().find((each) => each.peer === peer)
    if (known === undefined) return null
    const identity = known.outbound.encode(randomBytes(identityNonceBytes))
    return { psk: known.psk, identity, key: known.pairKey }
  }

  /**
   * Finds the device that this identity is of, at the cost of one MAC for each pair key; null when it is of none that is paired now,
   * or was answered before.
   */
  dialledBy(identity: string): { peer: PeerId; psk: Uint8Array } | null {
    const decoded = decodeTlsIdentity(identity)
    if (decoded === null || this.#used.has(identity)) return null
    const found = this.#all().find(({ inbound }) => inbound.includes(decoded))
    if (found === undefined) return null
    this.#used.add(identity)
    const [oldest] = this.#used
    if (this.#used.size > maxUsed && oldest !== undefined) this.#used.delete(oldest)
    return { peer: found.peer, psk: found.psk }
  }

  #all(): readonly KnownKey[] {
    if (this.#isCurrent) return this.#known
    const before = new Map(this.#known.map((known) => [nameOf(known.peer, known.pairKey), known]))
    this.#known = this.#pairKeys
      .pairKeys()
      .map(({ peer, key }) => before.get(nameOf(peer, key)) ?? this.#derive(peer, key))
    this.#isCurrent = true
    return this.#known
  }

  #derive(peer: PeerId, pairKey: Uint8Array): KnownKey {
    const [here, there] = [this.#localPeer, idBytes(peer)]
    return {
      peer,
      pairKey,
      psk: derivePsk(pairKey),
      outbound: new TlsIdentities(pairKey, { dialer: here, listener: there }),
      inbound: new TlsIdentities(pairKey, { dialer: there, listener: here }),
    }
  }
}

function nameOf(peer: PeerId, pairKey: Uint8Array): string {
  return `${peer} ${Buffer.from(pairKey).toString('hex')}`
}

function idBytes(peer: PeerId): Uint8Array {
  return libp2pPeer(peer).toMultihash().bytes
}
