import type { MultiaddrConnection, Stream, StreamMuxer, Upgrader } from '@libp2p/interface'
import { UnsupportedProtocolError } from '@libp2p/interface'

/**
 * Lazy negotiation: a side that proposes one protocol only does not wait for the other side's consent, which saves a round trip
 * for every stream and every connection (https://github.com/multiformats/multistream-select, and "lazy" in go-multistream and
 * rust's multistream-select). On the wire nothing changes but the time: the consent still has to come, before anything else, and
 * a refusal ends the stream with an UnsupportedProtocolError, later than it would have.
 *
 * js-libp2p cannot do it. So the consent that it waits for is handed to it at once, and taken off the bytes that really arrive.
 */

/** Opens the streams of this muxer lazily, and takes those that the other side opens like this. */
export function openStreamsLazily(muxer: StreamMuxer & Acceptor): void {
  const createStream = muxer.createStream.bind(muxer)
  muxer.createStream = async (options) => {
    const stream = await createStream(options)
    const { protocol } = options ?? {}
    // Some muxers agree on the protocol by themselves.
    if (protocol !== undefined && stream.protocol === '') presume(stream, protocol)
    return stream
  }
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  muxer.onRemoteStream = (stream) => {
    keepOpenWhileNegotiating(stream)
    onRemoteStream(stream)
  }
}

/**
 * Lazy negotiation of encryption on the connections that this host dials, as a libp2p service; not on those whose first bytes are
 * something else's.
 */
export function lazyEncryption(
  isProtected: (connection: MultiaddrConnection) => boolean = () => false,
): (components: { upgrader: Upgrader }) => object {
  return ({ upgrader }) => {
    const upgradeOutbound = upgrader.upgradeOutbound.bind(upgrader)
    const lazily: Upgrader['upgradeOutbound'] = (connection: MultiaddrConnection, options) => {
      const [protocol, ...others] = upgrader.getConnectionEncrypters().keys()
      const isProposer =
        options?.initiator !== false &&
        !(options !== undefined && 'skipEncryption' in options) &&
        !isProtected(connection)
      if (isProposer && protocol !== undefined && others.length === 0) presume(connection, protocol)
      return upgradeOutbound(connection, options)
    }
    upgrader.upgradeOutbound = lazily
    return {}
  }
}

/**
 * Delays the other side's end-of-stream until the protocol is agreed upon. A short question comes together with its proposal and
 * its end, and what libp2p has read of it by then could not be put back into a stream that has ended.
 */
function keepOpenWhileNegotiating(stream: Stream & { onRemoteCloseWrite: () => void }): void {
  const end = stream.onRemoteCloseWrite.bind(stream)
  let { protocol } = stream
  let hasEnded = false
  if (protocol !== '') return
  stream.onRemoteCloseWrite = () => {
    hasEnded = true
    if (protocol !== '') end()
  }
  Object.defineProperty(stream, 'protocol', {
    enumerable: true,
    get: () => protocol,
    set: (agreed: string) => {
      protocol = agreed
      if (hasEnded) end()
    },
  })
}

/** Method that js-libp2p's muxers call with each inbound stream. */
interface Acceptor {
  onRemoteStream(stream: Stream & { onRemoteCloseWrite: () => void }): void
}

/** Method that libp2p's streams and connections call with all inbound bytes; their public type leaves it out. */
interface Receiver {
  onData(data: Parameters<Stream['send']>[0]): void
}

/** Answers the proposal of this protocol in the other side's name, and checks the real answer against that. */
function presume(stream: Stream | MultiaddrConnection, protocol: string): void {
  const receiver = receiverOf(stream)
  const receive = receiver.onData.bind(stream)
  const consent = consentTo(protocol)
  let missing = consent
  receiver.onData = (data) => {
    const bytes = data.subarray()
    const length = Math.min(bytes.length, missing.length)
    if (Buffer.compare(bytes.subarray(0, length), missing.subarray(0, length)) !== 0) {
      receiver.onData = receive
      stream.abort(new UnsupportedProtocolError(`The other side does not speak ${protocol}`))
      return
    }
    missing = missing.subarray(length)
    if (missing.length > 0) return
    receiver.onData = receive
    if (length < bytes.length) receive(bytes.subarray(length))
  }
  receive(consent)
}

/** Encodes the answer of a multistream-select server that accepts the first proposal. */
function consentTo(protocol: string): Uint8Array {
  return Buffer.concat(['/multistream/1.0.0\n', `${protocol}\n`].map(prefixedWithLength))
}

function prefixedWithLength(text: string): Uint8Array {
  const bytes = Buffer.from(text)
  // Length as an unsigned varint; protocol names have at most 1,024 bytes (multistream-select).
  const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7]
  return Buffer.concat([Uint8Array.from(length), bytes])
}

function receiverOf(stream: object): Receiver {
  if (!('onData' in stream) || typeof stream.onData !== 'function')
    throw new TypeError('a stream of libp2p that receives in another way')
  return stream as Receiver
}
