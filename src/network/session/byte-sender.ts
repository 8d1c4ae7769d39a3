import { WritableStream } from 'node:stream/web'
import type { WritableStreamDefaultController } from 'node:stream/web'
import { SpacedockError } from '../../errors.ts'
import type { Frame } from './frames.ts'
import { maxPayloadBytes } from './frames.ts'
import type { OutgoingQueue, OutgoingStream } from './outgoing-queue.ts'
import { initialWindowBytes } from './receive-window.ts'
import { SmallWrites } from './small-writes.ts'

/** Stream of which this is the sending half. */
export interface ByteSenderListener {
  /** Sends what was queued since. */
  flush(): void
  /** Takes note that the end has left. */
  sendingEnded(): void
  /** Ends the stream, because the application aborted it, or wrote something that is no bytes. */
  reset(reason: unknown): void
}

/**
 * Sending half of a byte stream. It holds 64 KiB of small chunks and, without copying it, the chunk that is being written; a `write`
 * resolves when its chunk has left, or at once if it is small and fits. The WritableStream's own queue is 64 KiB, for a writer
 * that heeds `ready` as `pipeTo` does.
 */
export class ByteSender implements OutgoingStream {
  readonly channel: number
  readonly writable: WritableStream<Uint8Array>
  readonly #outgoing: OutgoingQueue
  readonly #stream: ByteSenderListener
  readonly #unsent = new SmallWrites(maxUnsentBytes)
  #chunk: { bytes: Uint8Array; sentBytes: number; sent: PromiseWithResolvers<void> } | undefined
  #credit = initialWindowBytes
  #phase: 'open' | 'closing' | 'ended' | 'failed' = 'open'
  readonly #ended = Promise.withResolvers<void>()
  #controller: WritableStreamDefaultController | undefined
  /** Chunks that the application has written, and the WritableStream not yet passed to `#write`. */
  #queuedChunks = 0
  #finishing = false
  #stoppedWith: Error | undefined

  constructor(channel: number, outgoing: OutgoingQueue, stream: ByteSenderListener) {
    this.channel = channel
    this.#outgoing = outgoing
    this.#stream = stream
    this.#ended.promise.catch(() => {})
    this.writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#close(),
        abort: (reason) => stream.reset(reason),
      },
      {
        highWaterMark: maxUnsentBytes,
        size: (chunk) => {
          this.#queuedChunks++
          return chunk instanceof Uint8Array ? chunk.byteLength : 0
        },
      },
    )
  }

  get isEnded(): boolean {
    return this.#phase === 'ended'
  }

  /** Whether this is the error of a write after the other side's stop, itself or as the cause of a handler's failure. */
  isStop(error: unknown): boolean {
    if (this.#stoppedWith === undefined) return false
    return error === this.#stoppedWith || (error instanceof Error && error.cause === this.#stoppedWith)
  }

  /** Adds credit; returns false when the sum exceeds what any receiver can have granted. */
  addCredit(bytes: number): boolean {
    this.#credit += bytes
    this.#offer()
    return this.#credit <= maxCreditBytes
  }

  takeFrame(): { frame: Frame; isReady: boolean } | undefined {
    const payload = this.#takePayload(Math.min(this.#credit, maxPayloadBytes))
    if (payload !== undefined) {
      this.#credit -= payload.byteLength
      return {
        frame: { type: 'data', more: false, channel: this.channel, payload },
        isReady: this.#isReady(),
      }
    }
    if (this.#phase !== 'closing' || this.#hasUnsent()) return undefined
    this.#phase = 'ended'
    this.#ended.resolve()
    // The callback may forget the channel, so it runs after the frame is queued.
    queueMicrotask(() => this.#stream.sendingEnded())
    return { frame: { type: 'end', more: false, channel: this.channel, payload: nothing }, isReady: false }
  }

  /** Ends the direction in order on behalf of an application that did not close it. */
  async finish(): Promise<void> {
    if (this.#phase === 'open' && !this.writable.locked) return this.writable.close()
    this.#finishing = true
    this.#closeWhenWritten()
    return this.#ended.promise
  }

  /** Stops sending, since the other side reads no more: unsent bytes are dropped, and the end follows. */
  stop(error: Error): void {
    if (this.#phase === 'ended' || this.#phase === 'failed') return
    this.#discard(error)
    this.#stoppedWith = error
    this.#phase = 'closing'
    this.#controller?.error(error)
    this.#offer()
  }

  /** Fails all writes; nothing more is sent. */
  fail(error: Error): void {
    if (this.#phase === 'failed') return
    if (this.#phase !== 'ended') this.#controller?.error(error)
    this.#discard(error)
    this.#phase = 'failed'
    this.#ended.reject(error)
  }

  #write(chunk: unknown): Promise<void> | undefined {
    this.#queuedChunks--
    if (!(chunk instanceof Uint8Array)) {
      const error = new SpacedockError('invalid-argument', 'What was written to the stream is no Uint8Array.')
      this.#stream.reset(error)
      throw error
    }
    if (this.#phase !== 'open') throw new SpacedockError('closed', 'The stream was closed.')
    if (chunk.byteLength === 0) return undefined
    if (chunk.byteLength <= maxSmallBytes && this.#unsent.fits(chunk)) {
      this.#unsent.append(chunk)
      this.#offer()
      this.#closeWhenWritten()
      return undefined
    }
    this.#chunk = { bytes: chunk, sentBytes: 0, sent: Promise.withResolvers<void>() }
    const { promise } = this.#chunk.sent
    this.#offer()
    this.#closeWhenWritten()
    return promise
  }

  /** Closes once the WritableStream's queue is empty: a writer that still holds its lock may have written to it. */
  #closeWhenWritten(): void {
    if (this.#finishing && this.#queuedChunks === 0 && this.#phase === 'open') {
      this.#close().catch(() => {})
    }
  }

  #close(): Promise<void> {
    if (this.#phase === 'open') this.#phase = 'closing'
    this.#offer()
    return this.#ended.promise
  }

  #takePayload(maxBytes: number): Uint8Array | undefined {
    const copied = this.#unsent.take(maxBytes)
    if (copied !== undefined) return copied
    if (this.#chunk === undefined || maxBytes === 0) return undefined
    const { bytes, sentBytes, sent } = this.#chunk
    const payload = bytes.subarray(sentBytes, sentBytes + maxBytes)
    this.#chunk.sentBytes += payload.byteLength
    if (this.#chunk.sentBytes === bytes.byteLength) {
      this.#chunk = undefined
      sent.resolve()
    }
    return payload
  }

  #hasUnsent(): boolean {
    return this.#unsent.length > 0 || this.#chunk !== undefined
  }

  #isReady(): boolean {
    return this.#hasUnsent() ? this.#credit > 0 : this.#phase === 'closing'
  }

  #offer(): void {
    if (this.#phase === 'ended' || this.#phase === 'failed' || !this.#isReady()) return
    this.#outgoing.pushStream(this)
    this.#stream.flush()
  }

  #discard(error: Error): void {
    this.#unsent.clear()
    this.#chunk?.sent.reject(error)
    this.#chunk = undefined
  }
}

const maxUnsentBytes = 64 * 1024
/** Larger chunks are worth waiting for rather than copying. */
const maxSmallBytes = 16 * 1024
const maxCreditBytes = 0x7fff_ffff
const nothing = new Uint8Array(0)
