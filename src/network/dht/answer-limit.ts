import type { Stream, StreamMessageEvent, StreamMiddleware } from '@libp2p/interface'

/**
 * Resets a stream whose first inbound message announces more than `maxBytes`. libp2p accepts 4 MiB, room for hundreds of
 * thousands of addresses, which take seconds of processor time to parse, and the peer asked may be anybody.
 */
export function limitAnswer(stream: Stream, maxBytes: number): void {
  let length = 0
  let factor = 1
  const readPrefix = ({ data }: StreamMessageEvent): void => {
    for (const byte of data.subarray()) {
      // Length prefix, an unsigned varint.
      length += (byte & 0x7f) * factor
      factor *= 0x80
      if (byte >= 0x80 && length <= maxBytes) continue
      stream.removeEventListener('message', readPrefix)
      if (length > maxBytes) stream.abort(new Error(`an answer of ${length} bytes or more`))
      return
    }
  }
  stream.addEventListener('message', readPrefix)
}

/**
 * Does the same as middleware. Only for protocols that this host asks and does not serve: libp2p adds the handler of a served
 * protocol to the list of middleware for every stream.
 */
export function limitFirstMessage(maxBytes: number): StreamMiddleware {
  return (stream, connection, next) => {
    limitAnswer(stream, maxBytes)
    next(stream, connection)
  }
}

/** Resets a stream on which more than `maxBytes` of questions come, in one message or in many. */
export function limitQuestions(stream: Stream, maxBytes: number): void {
  let left = maxBytes
  stream.addEventListener('message', ({ data }) => {
    left -= data.byteLength
    if (left < 0) stream.abort(new Error(`questions of more than ${maxBytes} bytes`))
  })
}
