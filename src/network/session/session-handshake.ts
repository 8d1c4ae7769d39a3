import { randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { OtherVersionError } from '../../other-version.ts'
import type { Clock } from '../../api.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import { sameMac } from '../../pairing/proofs.ts'
import type { FramedStream } from './framed-stream.ts'
import type { Frame, FrameType } from './frames.ts'
import { encodeFrames } from './frames.ts'
import type { HelloPeers, PairKey } from './session-hello.ts'
import * as hello from './session-hello.ts'
import type { SealKeys } from './sealed-records.ts'
import type { SessionTrust } from './session-trust.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { libp2pPeer } from '../../libp2p-peer.ts'

export interface HandshakeOptions {
  localPeer: PeerId
  remotePeer: PeerId
  /** Secret of the TLS connection, 32 bytes; not over Noise. */
  binding?: Uint8Array | undefined
  /** Instance: 16 random bytes made once at process start. */
  instance: Uint8Array
  trust: SessionTrust
  random?: (length: number) => Uint8Array
  signal: AbortSignal
}

/** What both sides know after the hello. */
export interface Greeted {
  /** Instance of the other side. */
  instance: Uint8Array
  /** Keys that seal what follows, where the connection does not have the pair key in its own. */
  seal: SealKeys
}

/**
 * Performs the hello of the side that opened the stream. Rejects with `not-paired` only
 * when the device that was dialled says that it does not know this one, or proves that it has revoked it.
 */
export async function greetAsDialer(framed: FramedStream, options: HandshakeOptions): Promise<Greeted> {
  const { localPeer, remotePeer, binding, signal, random = randomBytes } = options
  const peers: HelloPeers = { dialer: idBytes(localPeer), listener: idBytes(remotePeer), binding }
  const keys = options.trust.keysOf(remotePeer).slice(0, hello.maxKeys)
  if (keys.length === 0) throw new SpacedockError('cancelled', 'There is no key for the device any more.')
  const nonce = random(hello.nonceBytes)
  const dialerHello = hello.encodeDialerHello(peers, { instance: options.instance, nonce }, keys)
  send(framed, 'dialerHello', dialerHello)
  const answer = await framed.nextFrame(signal)
  if (answer.type === 'unknownDevice' || answer.type === 'revoked') {
    const isRevoked = answer.type === 'revoked' && options.trust.revokedBy(remotePeer, answer.payload)
    // A revocation notice that fits none of our keys says no more than that ours are unknown there.
    // Nor does one over TLS, where the device has just used the key.
    if (!isRevoked && binding === undefined) options.trust.disowned(remotePeer, keys)
    throw refused(isRevoked, keys, options.trust.keysOf(remotePeer))
  }
  if (answer.type === 'otherVersion') throw await sayVersions(framed, answer.payload, signal)
  expectType(answer, 'listenerHello')
  const verified = hello.verifyListenerHello(peers, dialerHello, answer.payload, keys)
  if (verified === null) throw badProof()
  await untilAborted(Promise.resolve(options.trust.proved(remotePeer, verified.pairKey)), signal)
  send(framed, 'dialerProof', hello.encodeDialerProof(peers, dialerHello, answer.payload, verified.pairKey))
  const seal = hello.deriveSealKeys(peers, dialerHello, answer.payload, verified.pairKey)
  return { instance: verified.instance, seal: { sends: seal.dialer, receives: seal.listener } }
}

function refused(isRevoked: boolean, offered: readonly PairKey[], now: readonly PairKey[]): SpacedockError {
  if (now.some(({ key }) => !offered.some((old) => sameMac(old.key, key)))) {
    return new SpacedockError('interrupted', 'The two devices were paired anew meanwhile.')
  }
  const why = isRevoked
    ? 'The other device has revoked this one.'
    : 'The other device does not know this one.'
  return new SpacedockError('not-paired', why, { hint: 'Pair the two devices again.' })
}

/** Performs the hello of the side that accepted the stream. */
export async function greetAsListener(framed: FramedStream, options: HandshakeOptions): Promise<Greeted> {
  const { localPeer, remotePeer, binding, signal, random = randomBytes } = options
  const peers: HelloPeers = { dialer: idBytes(remotePeer), listener: idBytes(localPeer), binding }
  const opening = await framed.nextFrame(signal)
  expectType(opening, 'dialerHello')
  if (hello.versionOf(opening.payload) !== hello.helloVersion)
    throw await askVersions(framed, opening.payload, signal)
  const dialer = hello.decodeDialerHello(opening.payload)
  if (dialer === null)
    throw new SpacedockError('invalid-message', 'The other device sent an unreadable hello.')
  const keys = options.trust.keysOf(remotePeer).slice(0, hello.maxKeys)
  const pairKey = hello.chooseKey(peers, dialer, keys)
  if (pairKey === undefined) {
    const { type, payload } = refusal(options.trust.noticeTo(remotePeer))
    send(framed, type, payload)
    await framed.close(signal)
    throw new SpacedockError('interrupted', 'The other device holds no key that this one knows.')
  }
  const nonce = random(hello.nonceBytes)
  const own = { instance: options.instance, nonce }
  const listenerHello = hello.encodeListenerHello(peers, own, opening.payload, pairKey)
  send(framed, 'listenerHello', listenerHello)
  const proof = await framed.nextFrame(signal)
  expectType(proof, 'dialerProof')
  if (!hello.verifyDialerProof(peers, opening.payload, listenerHello, proof.payload, pairKey))
    throw badProof()
  await untilAborted(Promise.resolve(options.trust.proved(remotePeer, pairKey)), signal)
  const seal = hello.deriveSealKeys(peers, opening.payload, listenerHello, pairKey)
  return { instance: dialer.instance, seal: { sends: seal.listener, receives: seal.dialer } }
}

/** Exchanges versions after a hello that this side cannot read. If the dialer tells none, its hello shows one. */
async function askVersions(
  framed: FramedStream,
  dialerHello: Uint8Array,
  signal: AbortSignal,
): Promise<Error> {
  send(framed, 'otherVersion', Uint8Array.from(hello.helloVersions))
  const answer = await framed.nextFrame(signal).catch(() => null)
  const told = answer?.type === 'otherVersion' ? answer.payload : dialerHello.subarray(0, 1)
  await framed.close(signal).catch(() => {})
  return otherVersion(told)
}

async function sayVersions(framed: FramedStream, told: Uint8Array, signal: AbortSignal): Promise<Error> {
  send(framed, 'otherVersion', Uint8Array.from(hello.helloVersions))
  await framed.close(signal)
  // The other side reads it before it closes; a reset of ours could overtake it.
  await framed.nextFrame(signal).catch(() => {})
  return otherVersion(told)
}

function otherVersion(told: Uint8Array): OtherVersionError {
  return new OtherVersionError('Spacedock’s protocol', [...told], hello.helloVersions)
}

/** Tells a peer that it is not paired, or was revoked, without reading a byte of what it sends. Never rejects. */
export async function refuseDevice(
  stream: Stream,
  notice: Uint8Array | undefined,
  clock?: Clock,
): Promise<void> {
  const deadline = startDeadline(refusalMs, refusalTimedOut, { clock })
  const { signal } = deadline
  try {
    // Inbound bytes pile up in libp2p until the stream is gone.
    stream.maxReadBufferLength = maxUnreadBytes
    const closed = new Promise<void>((resolve) => {
      stream.addEventListener('close', () => resolve(), { once: true })
    })
    stream.send(encodeFrames([refusal(notice)]))
    await untilAborted(stream.close({ signal }), signal)
    await untilAborted(closed, signal)
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error('refused', { cause: error }))
  } finally {
    deadline.stop()
  }
}

function refusalTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not take note that it was refused.')
}

function refusal(notice: Uint8Array | undefined): Frame {
  if (notice === undefined) {
    return { type: 'unknownDevice', more: false, channel: 0, payload: new Uint8Array(0) }
  }
  return { type: 'revoked', more: false, channel: 0, payload: notice }
}

function send(framed: FramedStream, type: FrameType, payload: Uint8Array): void {
  framed.outgoing.pushControl({ type, more: false, channel: 0, payload })
  framed.flush()
}

function expectType(frame: Frame, type: FrameType): void {
  if (frame.type === type) return
  throw new SpacedockError('invalid-message', `The other device sent ${frame.type} where ${type} belongs.`)
}

function badProof(): SpacedockError {
  return new SpacedockError(
    'interrupted',
    'The other device did not prove that it is the one that was paired.',
  )
}

function idBytes(peerId: PeerId): Uint8Array {
  return libp2pPeer(peerId).toMultihash().bytes
}

const refusalMs = 2_000
const maxUnreadBytes = 4 * 1024
