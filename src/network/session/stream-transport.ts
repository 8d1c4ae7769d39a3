import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { RecordOpener, RecordSealer, type SealKeys } from './sealed-records.ts'
import type { SessionTransport, TransportListener } from './session-transport.ts'

/**
 * libp2p stream under a session. While it is paused, at most a window of the muxer is held. Whether one may write is said by
 * libp2p's own buffer: `onDrain()` resolves too early, and `send` accepts without bound. After the hello the bytes are in sealed
 * records, so that what Noise protects is protected by the pair key, too.
 */
export class StreamTransport implements SessionTransport {
  readonly #stream: Stream
  #listener: TransportListener | undefined
  #sealed: { sealer: RecordSealer; opener: RecordOpener } | undefined

  constructor(stream: Stream) {
    this.#stream = stream
    stream.maxReadBufferLength = maxPausedBytes
  }

  get canWrite(): boolean {
    return !this.#stream.writableNeedsDrain && this.#stream.writeBufferLength === 0
  }

  listen(listener: TransportListener): void {
    const stream = this.#stream
    this.#listener = listener
    stream.addEventListener('message', (event: StreamMessageEvent) => {
      this.#received(event.data.subarray())
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
    // libp2p may hold what it is given for as long as it likes.
    this.#stream.send(this.#sealed === undefined ? new Uint8Array(bytes) : this.#sealed.sealer.seal(bytes))
  }

  /** Seals what is written from now on, and opens what arrives; `unread` has arrived already. Called once, after the hello. */
  seal({ sends, receives }: SealKeys, unread: Uint8Array): void {
    this.#sealed = { sealer: new RecordSealer(sends), opener: new RecordOpener(receives) }
    if (unread.byteLength > 0) this.#received(unread)
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

  #received(bytes: Uint8Array): void {
    for (const opened of this.#open(bytes)) this.#listener?.received(opened)
  }

  /** Returns what is in the records that are whole. One that does not open ends the stream. */
  #open(bytes: Uint8Array): Uint8Array[] {
    if (this.#sealed === undefined) return [bytes]
    try {
      return this.#sealed.opener.open(bytes)
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error('a record that cannot be opened')
      this.#listener?.closed(error)
      this.abort(error)
      return []
    }
  }
}

const maxPausedBytes = 1024 * 1024
