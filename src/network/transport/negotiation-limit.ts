import type { Connection, MessageStream, MultiaddrConnection, Stream, Upgrader } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import { TokenBucket } from '../token-bucket.ts'

/** Proposals of unknown protocols, and repeated headers, on one stream: more than any program has versions of one. */
const maxUnknownPerStream = 8
/** Streams with unknown ones on one connection: sixteen in a row, and one a second on average. */
const unknownPace = { everyMs: 1_000, inARow: 16 }
/** Most bytes of a proposal (multistream-select). */
const maxProposalBytes = 1_024

/** Protocols of a host, as libp2p's registrar has them. */
export interface ServedProtocols {
  getProtocols(): string[]
}

/** Method that libp2p's streams and connections call with all inbound bytes, and those not read yet; their public type leaves them out. */
type Receiver = MessageStream & {
  onData(data: Parameters<MessageStream['send']>[0]): void
  readonly readBuffer: { subarray(): Uint8Array }
}

/** Muxer that calls a method with each inbound stream before any of its bytes. */
interface Acceptor<Accepted extends Stream> {
  onRemoteStream(stream: Accepted): void
}

/**
 * Limits the proposals of protocols that this host does not serve: libp2p answers any number of them, at ten microseconds a byte.
 * A stream with too many is reset, and a connection with too many such streams closed.
 */
export function limitNegotiation<Accepted extends Stream>(
  muxer: Acceptor<Accepted>,
  connection: Pick<Connection, 'abort'>,
  served: ServedProtocols,
  clock: Clock = systemClock,
): void {
  const pace = new TokenBucket(unknownPace)
  const mayBegin = (): boolean => {
    const isInPace = pace.take(clock.monotonic())
    if (!isInPace) connection.abort(tooManyUnknown())
    return isInPace
  }
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  muxer.onRemoteStream = (stream) => {
    // Some muxers agree on the protocol by themselves.
    if (stream.protocol === '') watchProposals(stream, () => served.getProtocols(), mayBegin)
    onRemoteStream(stream)
  }
}

/**
 * Limits the proposals on inbound connections likewise, of encryption and of muxers, as a libp2p service; not of encryption on
 * those whose first bytes are something else's.
 */
export function limitUpgrades(
  isProtected: (connection: MultiaddrConnection) => boolean = () => false,
): (components: { upgrader: Upgrader }) => object {
  return ({ upgrader }) => {
    const encrypters = upgrader.getConnectionEncrypters()
    const upgradeInbound = upgrader.upgradeInbound.bind(upgrader)
    upgrader.upgradeInbound = (connection, options) => {
      if (!isProtected(connection)) watchProposals(connection, () => [...encrypters.keys()])
      return upgradeInbound(connection, options)
    }
    for (const encrypter of encrypters.values()) {
      const secureInbound = encrypter.secureInbound.bind(encrypter)
      encrypter.secureInbound = async (connection, options) => {
        const secured = await secureInbound(connection, options)
        // Noise agrees on the muxer by itself, with those who can.
        if (secured.streamMuxer === undefined)
          watchProposals(secured.connection, () => [...upgrader.getStreamMuxers().keys()])
        return secured
      }
    }
    return {}
  }
}

/**
 * Reads the proposals along with libp2p, until one is of a protocol that is served; what follows is not negotiation any more. Ends
 * the stream when there are too many others, or when it asks for all protocols.
 *
 * @param mayBegin  Called at the first unknown one; false when the stream has been ended.
 */
function watchProposals(stream: MessageStream, served: () => string[], mayBegin = (): boolean => true): void {
  const receiver = stream as Receiver
  const receive = receiver.onData.bind(stream)
  let pending = Buffer.alloc(0)
  let unknown = 0
  let hasGreeted = false
  /** Whether libp2p gets to read these bytes. */
  const admits = (bytes: Uint8Array): boolean => {
    pending = Buffer.concat([pending, bytes])
    for (let proposal = firstProposal(pending); proposal !== null; proposal = firstProposal(pending)) {
      pending = pending.subarray(proposal.end)
      if (proposal.text === multistream && !hasGreeted) {
        hasGreeted = true
        continue
      }
      if (served().includes(proposal.text)) {
        receiver.onData = receive
        break
      }
      unknown++
      if (unknown === 1 && !mayBegin()) return false
      if (unknown > maxUnknownPerStream || proposal.text === asksForAll) {
        stream.abort(tooManyUnknown())
        return false
      }
    }
    return true
  }
  receiver.onData = (data) => {
    if (admits(data.subarray())) receive(data)
  }
  // Bytes that came with the end of the handshake are there already.
  admits(receiver.readBuffer.subarray())
}

function tooManyUnknown(): Error {
  return new Error('too many unknown protocols')
}

const multistream = '/multistream/1.0.0'
const asksForAll = 'ls'

/** Returns the first proposal, which is a text with a newline behind its length as a varint; null when it is not there yet. */
function firstProposal(bytes: Buffer): { text: string; end: number } | null {
  const [first, second] = bytes
  if (first === undefined) return null
  const isLong = first >= 0x80
  if (isLong && second === undefined) return null
  const length = isLong ? (first & 0x7f) | ((second ?? 0) << 7) : first
  const start = isLong ? 2 : 1
  // Whatever is longer is no proposal: libp2p itself resets the stream.
  if (length > maxProposalBytes) return { text: '', end: bytes.length }
  if (bytes.length < start + length) return null
  return { text: bytes.toString('utf8', start, start + length).trimEnd(), end: start + length }
}
