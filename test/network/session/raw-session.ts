import type { Stream } from '@libp2p/interface'
import { FramedStream } from '../../../src/network/session/framed-stream.ts'
import { encodeFrames, type Frame } from '../../../src/network/session/frames.ts'
import { RecordSealer } from '../../../src/network/session/sealed-records.ts'
import { greetAsDialer, type HandshakeOptions } from '../../../src/network/session/session-handshake.ts'
import type { SessionOptions } from '../../../src/network/session/session.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { StreamTransport } from '../../../src/network/session/stream-transport.ts'

/** One side of a session after an honest hello: it says whatever it is told to, and nothing else but answers to pings. */
export class RawSession {
  /** Frames that came; of data, which may be much, the first bytes of each. */
  readonly frames: Frame[] = []
  readonly ended: Promise<void>
  readonly #stream: Stream
  readonly #sealer: RecordSealer

  private constructor(stream: Stream, framed: FramedStream, sealer: RecordSealer) {
    this.#stream = stream
    this.#sealer = sealer
    this.ended = new Promise((resolve) => {
      framed.onEnd = () => resolve()
    })
    framed.receive((frame) => {
      const payload = frame.payload.slice(0, frame.type === 'data' ? keptBytes : frame.payload.byteLength)
      this.frames.push({ ...frame, payload })
      if (frame.type === 'ping') this.send(encodeFrames([{ ...frame, type: 'pong' }]))
    })
  }

  static async dial(stream: Stream, options: HandshakeOptions): Promise<RawSession> {
    const transport = new StreamTransport(stream)
    const framed = new FramedStream(transport)
    const { seal } = await greetAsDialer(framed, options)
    transport.seal(seal, framed.endHello())
    return new RawSession(stream, framed, new RecordSealer(seal.sends))
  }

  get status(): Stream['status'] {
    return this.#stream.status
  }

  /** Seals these bytes, which may be frames or anything else, and returns how many that makes: none when the session has ended. */
  send(bytes: Uint8Array): number {
    if (this.#stream.status !== 'open') return 0
    const sealed = this.#sealer.seal(bytes)
    this.#stream.send(sealed)
    return sealed.byteLength
  }

  /** Sends bytes that are no record. */
  sendUnsealed(bytes: Uint8Array): void {
    if (this.#stream.status === 'open') this.#stream.send(bytes)
  }

  abort(error: Error): void {
    this.#stream.abort(error)
  }
}

const keptBytes = 100

/** What the dialer's part of a hello with this peer needs. */
export function helloTo(remotePeer: PeerId, options: SessionOptions): HandshakeOptions {
  return { ...options, remotePeer, signal: AbortSignal.timeout(helloMs) }
}

const helloMs = 30_000
