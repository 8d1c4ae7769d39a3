import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { SessionTransport, TransportListener } from './session-transport.ts'

/**
 * libp2p stream under a session. While it is paused, at most a window of the muxer is held. Whether one may write is said by
 * libp2p's own buffer: `onDrain()` resolves too early, and `send` accepts without bound.
 */
export class StreamTransport implements SessionTransport {
  readonly #stream: Stream

  constructor(stream: Stream) {
    this.#stream = stream
    stream.maxReadBufferLength = maxPausedBytes
  }

  get canWrite(): boolean {
    return !this.#stream.writableNeedsDrain && this.#stream.writeBufferLength === 0
  }

  listen(listener: TransportListener): void {
    const stream = this.#stream
    stream.addEventListener('message', (event: StreamMessageEvent) => {
      listener.received(event.data.subarray())
      if (stream.readableEnded) listener.finished()
    })
    stream.addEventListener('end', () => {
      // A reset and a lost connection emit this, too; their own event explains them.
      if (stream.status === 'open' || stream.status === 'closing') listener.finished()
    })
    stream.addEventListener('close', (event: StreamCloseEvent) => listener.closed(event.error))
    stream.addEventListener('drain', () => listener.writable())
    stream.addEventListener('idle', () => listener.writable())
    if (stream.status !== 'open') listener.closed(undefined)
    // Negotiation may have read ahead, past the end even, and pushed back what it did not need: 'end' does not come again.
    else if (stream.readableEnded && stream.readBufferLength === 0) listener.finished()
  }

  write(bytes: Uint8Array): void {
    // libp2p may hold it for as long as it likes.
    this.#stream.send(new Uint8Array(bytes))
  }

  pause(): void {
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  resume(): void {
    if (this.#stream.readStatus === 'paused') this.#stream.resume()
  }

  close(options: { signal: AbortSignal }): Promise<void> {
    return this.#stream.close(options)
  }

  abort(error: Error): void {
    this.#stream.abort(error)
  }
}

const maxPausedBytes = 1024 * 1024
