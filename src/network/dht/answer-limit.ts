import type { StreamMessageEvent, StreamMiddleware } from '@libp2p/interface'

/**
 * Resets a stream whose first inbound message announces more than `maxBytes`. libp2p accepts 4 MiB, room for hundreds of
 * thousands of addresses, which take seconds of processor time to parse, and the peer asked may be anybody. Only for protocols
 * that this host asks and does not serve: libp2p adds the handler of a served protocol to the list of middleware for every
 * stream.
 */
export function limitFirstMessage(maxBytes: number): StreamMiddleware {
  return (stream, connection, next) => {
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
    next(stream, connection)
  }
}
