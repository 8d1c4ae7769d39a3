import type { StreamMessageEvent, StreamMiddleware } from '@libp2p/interface'

/**
 * Ends a stream on which the other side announces, as its first message, one of more than `maxBytes`. libp2p takes 4 MiB, which may
 * hold hundreds of thousands of addresses: reading them takes seconds in which a device does nothing else, and whoever is asked may be anybody. Only for
 * protocols that this host asks and does not serve: of others, libp2p adds the handler to the list of middleware for every stream.
 */
export function limitFirstMessage(maxBytes: number): StreamMiddleware {
  return (stream, connection, next) => {
    let length = 0
    let factor = 1
    const readPrefix = ({ data }: StreamMessageEvent): void => {
      for (const byte of data.subarray()) {
        // An unsigned varint.
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
