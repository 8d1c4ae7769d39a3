import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import { TokenBucket } from '../token-bucket.ts'

/** Proposals of unknown protocols on one stream: more than any program has versions of one. */
const maxUnknownPerStream = 8
/** Streams with unknown ones on one connection: sixteen in a row, and one a second on average. */
const unknownPace = { everyMs: 1_000, inARow: 16 }
/** Most bytes of a proposal (multistream-select). */
const maxProposalBytes = 1_024

/** Protocols of a host, as libp2p's registrar has them. */
export interface ServedProtocols {
  getProtocols(): string[]
}

/** Stream as it comes in, whose bytes libp2p's muxers hand to a method that the public type leaves out. */
type InboundStream = Stream & { onData(data: Parameters<Stream['send']>[0]): void }

/** Muxer that calls a method with each inbound stream before any of its bytes. */
interface Acceptor<Accepted extends Stream> {
  onRemoteStream(stream: Accepted): void
}

/**
 * Limits the proposals of protocols that this host does not serve: libp2p answers any number of them, at ten microseconds a byte.
 * `ls`, which asks for all protocols, counts as one. A stream with too many is reset, and a connection with too many such streams
 * closed.
 */
export function limitNegotiation<Accepted extends Stream>(
  muxer: Acceptor<Accepted>,
  connection: Pick<Connection, 'abort'>,
  served: ServedProtocols,
  clock: Clock = systemClock,
): void {
  const pace = new TokenBucket(unknownPace)
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  muxer.onRemoteStream = (stream) => {
    let unknown = 0
    watchProposals(stream, served, () => {
      unknown++
      const isTooMuch = unknown === 1 && !pace.take(clock.monotonic())
      if (isTooMuch) connection.abort(new Error('too many unknown protocols'))
      else if (unknown > maxUnknownPerStream) stream.abort(new Error('too many unknown protocols'))
      return !isTooMuch && unknown <= maxUnknownPerStream
    })
    onRemoteStream(stream)
  }
}

/** Reads the proposals along with libp2p, until one is of a protocol that is served; what follows is not negotiation any more. */
function watchProposals(stream: Stream, served: ServedProtocols, onUnknown: () => boolean): void {
  if (stream.protocol !== '' || !('onData' in stream)) return
  const receiver = stream as InboundStream
  const receive = receiver.onData.bind(stream)
  let pending = Buffer.alloc(0)
  receiver.onData = (data) => {
    pending = Buffer.concat([pending, data.subarray()])
    for (let proposal = firstProposal(pending); proposal !== null; proposal = firstProposal(pending)) {
      pending = pending.subarray(proposal.end)
      if (proposal.text === multistream) continue
      if (served.getProtocols().includes(proposal.text)) {
        receiver.onData = receive
        break
      }
      if (!onUnknown()) return
    }
    receive(data)
  }
}

const multistream = '/multistream/1.0.0'

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
