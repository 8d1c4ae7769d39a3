import { randomBytes } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { peerIdFromString } from '@libp2p/peer-id'
import { encodeMessage, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { HandInitiator } from './hand-initiator.ts'
import { HandJoiner } from './hand-joiner.ts'
import { tryJoin, type Scene } from './scene.ts'
import { commentless, sourcesOf, type Source } from './source-code.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'

/** Threat 3: to have a device sign what somebody else chose, with the key that is its identity. */
export const threats: Threat[] = [
  {
    row: 3,
    title: "a Challenge that reads like Noise's signed payload gets no signature out",
    attack: askForSignature,
    without: [
      {
        what: 'the rule that the identity signs nothing (it signs the Challenge, as the original did)',
        patches: [
          {
            file: 'src/network/host/create-host.ts',
            find: `import { noise } from '@libp2p/noise'\n`,
            replace: `import { noise } from '@libp2p/noise'\nimport { ed25519 } from '@noble/curves/ed25519.js'\n`,
          },
          {
            file: 'src/network/host/create-host.ts',
            find: `  const listen = await listenAddresses(options)\n`,
            replace: `  const listen = await listenAddresses(options)
  Object.assign(globalThis, { signAsOriginal: (bytes: Uint8Array) => ed25519.sign(bytes, options.seed) })\n`,
          },
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `suite.seal(keys.joinerSeal, encodeDescription({ name: context.deviceName }), opening)`,
            replace: `suite.seal(keys.joinerSeal, signed(challenge), opening)`,
          },
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `export function makeCandidate(`,
            replace: `function signed({ nonce, share }: MessageOf<'Challenge'>): Uint8Array {
  const text = new Uint8Array(56)
  text.set(nonce)
  text.set(share.subarray(0, 24), 32)
  const plaintext = new Uint8Array(256)
  plaintext.set((globalThis as unknown as { signAsOriginal: (bytes: Uint8Array) => Uint8Array }).signAsOriginal(text))
  return plaintext
}

export function makeCandidate(`,
          },
        ],
      },
    ],
  },
  {
    row: 3,
    title: '(static) nothing in the pairing code signs',
    attack: async () => nothingSigns(pairingSources()),
    without: [
      {
        what: 'the rule (the handler signs what it was sent)',
        attack: async () =>
          nothingSigns([
            ...pairingSources(),
            {
              path: 'src/protocols/pairing-service.ts',
              text: 'const signature = await privateKey.sign(message.nonce)',
            },
          ]),
      },
      {
        what: 'the rule (the file with the curve signs)',
        attack: async () =>
          nothingSigns([
            { path: 'src/pairing/curve25519.ts', text: 'return sign(null, message, privateKey)' },
          ]),
      },
    ],
  },
]

/** What libp2p's Noise signs: this prefix and a static key of 32 bytes. Whoever has the signature is that device. */
const noisePrefix = new TextEncoder().encode('noise-libp2p-static-key:')

async function askForSignature(scene: Scene): Promise<Verdict> {
  const bob = await scene.node('bob')
  const alice = await scene.node('alice')
  const noiseKey = new Uint8Array(randomBytes(32))
  const wanted = new Uint8Array([...noisePrefix, ...noiseKey])
  const leaked: Uint8Array[] = []

  // To the joiner, as a Challenge: 24 bytes of prefix and 32 of key fit into its nonce and share.
  const evil = await HandInitiator.start(scene, (own, message, peer) => {
    leaked.push(encodeMessage(message))
    if (message.type === 'Response') {
      const { plaintext } = own.opened(message, peer)
      leaked.push(...fieldsOf(message), ...(plaintext === null ? [] : [plaintext]))
      return own.honest(message, peer)
    }
    if (message.type !== 'PairingRequest') return own.honest(message, peer)
    const share = new Uint8Array(32)
    share.set(wanted.subarray(32))
    // The share's secret is not known then, so the second try has the prefix in the nonce alone.
    return own.challenge(message, peer, { nonce: wanted.slice(0, 32), secret: share })
  })
  await tryJoin(bob, evil.words, [evil.raw.address], { timeoutMs: 2_000 })

  // To the initiator, as a commitment and as what opens it.
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  thief.renew({ nonce: wanted.slice(0, 32), secret: wanted.slice(24) })
  const challenge = await thief.challenge()
  const complete = await thief.awaitComplete(challenge)
  for (const message of [challenge, complete])
    if (message !== null) leaked.push(encodeMessage(message), ...fieldsOf(message))

  const texts = [wanted, ...chosenTexts(evil)]
  const found = [bob.peerId, alice.peerId].some((peerId) =>
    leaked.some((bytes) => holdsSignature(bytes, texts, keyOf(peerId))),
  )
  return unless(
    { 'a signature left': found, 'nothing came back': leaked.length < 4 },
    `${leaked.length} pieces of what came back hold no signature of ${texts.length} texts`,
  )
}

/** Everything the joiner may have been made to sign. */
function chosenTexts({ attempts }: HandInitiator): Uint8Array[] {
  return [...attempts.values()].flatMap(({ challenge: { nonce, share } }) => {
    const both = new Uint8Array([...nonce, ...share])
    return [nonce, share, both, both.slice(0, 56)]
  })
}

function fieldsOf(message: PairingMessage): Uint8Array[] {
  return Object.values(message).filter((value): value is Uint8Array => value instanceof Uint8Array)
}

function holdsSignature(bytes: Uint8Array, texts: Uint8Array[], publicKey: Uint8Array): boolean {
  for (let start = 0; start + 64 <= bytes.length; start += bytes.length === 256 ? 64 : 1) {
    const signature = bytes.subarray(start, start + 64)
    // A signature's second half is a number below 2^253 (RFC 8032), which rules most of it out at once.
    if (((signature[63] ?? 255) & 0xe0) !== 0) continue
    if (texts.some((text) => verifies(signature, text, publicKey))) return true
  }
  return false
}

function verifies(signature: Uint8Array, text: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, text, publicKey)
  } catch {
    return false
  }
}

function keyOf(peerId: string): Uint8Array {
  const { publicKey } = peerIdFromString(peerId)
  if (publicKey === undefined) throw new Error('the peer id holds no key')
  return publicKey.raw
}

function nothingSigns(sources: readonly Source[]): Verdict {
  const signing = /\b(?:sign|signSync|createSign|subtle|generateKeyPairFromSeed)\b/
  const signingOrKeys =
    /\b(?:sign|signSync|createSign|subtle|generateKeyPairFromSeed|privateKey|PrivateKey)\b/
  for (const { path, text } of sources) {
    // It makes public keys and shared secrets of private ones that it is given.
    const forbidden = path === 'src/pairing/curve25519.ts' ? signing : signingOrKeys
    const line = commentless(text).find((each) => forbidden.test(each.text))
    if (line !== undefined) return succeeded(`${path}:${line.number} signs`)
  }
  return withstood(`${sources.length} files, none signs`)
}

/** Address records are signed with keys made for this one purpose, of the words or of a seed; the identity key has no part in it. */
function pairingSources(): ReturnType<typeof sourcesOf> {
  const sources = sourcesOf(['src/pairing', 'src/protocols'])
  const ofRecords = ['src/pairing/address-record.ts', 'src/pairing/blinded-key.ts']
  return sources.filter(({ path }) => !ofRecords.includes(path))
}
