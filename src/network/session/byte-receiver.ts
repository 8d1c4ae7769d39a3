import { ReadableStream } from 'node:stream/web'
import type { ReadableStreamDefaultController } from 'node:stream/web'
import { SpacedockError } from '../../errors.ts'
import { ByteQueue, hasOwnMemory } from './byte-queue.ts'

/** Bytes that each side may send before the first credit. */
export const initialWindowBytes = 256 * 1024
/** Largest window of a stream, once its reader has read as much as the first window. */
export const largestWindowBytes = 1024 * 1024

/** Stream of which this is the receiving half. */
export interface ByteReceiverListener {
  /** Grants the other side credit for so many more bytes. */
  grant(bytes: number): void
  /** Returns whether the session has room for a larger window; a negative number gives room back. */
  widen(bytes: number): boolean
  /** Takes note that the application has stopped reading. */
  readingCancelled(reason: unknown): void
}

/** Receiving half of a byte stream: never more is buffered than credit was given for. */
export class ByteReceiver {
  readonly readable: ReadableStream<Uint8Array>
  readonly #stream: ByteReceiverListener
  readonly #unread = new ByteQueue()
  /** Remaining credit of the other side. */
  #allowedBytes = initialWindowBytes
  #windowBytes = initialWindowBytes
  #readBytes = 0
  #phase: 'open' | 'cancelled' | 'ended' | 'failed' = 'open'
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** Whether the application waits for bytes. */
  #isAwaited = false

  constructor(stream: ByteReceiverListener) {
    this.#stream = stream
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: (reason) => this.#cancelled(reason),
      },
      // Pulls wait for the application to read, since credit is given for what was read.
      { highWaterMark: 0 },
    )
  }

  /** Whether the other side has sent its end. */
  get isEnded(): boolean {
    return this.#isEnded
  }
  #isEnded = false

  /** Takes bytes from the other side, which are nobody else's. Throws `too-large` beyond its credit, `invalid-message` after its end. */
  receive(payload: Uint8Array): void {
    if (this.#isEnded) {
      throw new SpacedockError('invalid-message', 'The other device sent data after the end of a stream.')
    }
    if (payload.byteLength > this.#allowedBytes) {
      throw new SpacedockError('too-large', 'The other device sent more on a stream than it had credit for.')
    }
    this.#allowedBytes -= payload.byteLength
    if (this.#phase !== 'open') return
    if (!this.#isAwaited) return this.#unread.adopt(payload)
    // Nothing is unread while the application waits.
    this.#deliver(hasOwnMemory(payload) ? payload : payload.slice())
    return undefined
  }

  end(): void {
    if (this.#isEnded) {
      throw new SpacedockError('invalid-message', 'The other device ended a stream twice.')
    }
    this.#isEnded = true
    if (this.#phase === 'open') this.#phase = 'ended'
    this.#narrow()
    if (this.#isAwaited) this.#controller?.close()
    this.#isAwaited = false
  }

  /** Cancels reading on behalf of an application that has left something unread. */
  cancel(): void {
    if (this.#phase !== 'open') return
    if (this.readable.locked) this.#controller?.error(closed())
    else this.readable.cancel().catch(() => {})
    this.#cancelled(undefined)
  }

  fail(error: Error): void {
    if (this.#phase === 'failed') return
    this.#controller?.error(error)
    this.#phase = 'failed'
    this.#isAwaited = false
    this.#unread.clear()
    this.#narrow()
  }

  /** Gives the application what it asks for, or notes that it waits. A promise for each wait would cost more than all else. */
  #pull(): void {
    const bytes = this.#unread.take()
    if (bytes !== undefined) this.#deliver(bytes)
    else if (this.#phase === 'ended') this.#controller?.close()
    else this.#isAwaited = true
  }

  #deliver(bytes: Uint8Array): void {
    this.#isAwaited = false
    this.#read(bytes.byteLength)
    // It may ask for more before this returns.
    this.#controller?.enqueue(bytes)
  }

  #read(bytes: number): void {
    this.#readBytes += bytes
    if (this.#phase !== 'open') return
    if (this.#windowBytes < largestWindowBytes && this.#readBytes >= this.#windowBytes) {
      if (this.#stream.widen(largestWindowBytes - this.#windowBytes)) this.#windowBytes = largestWindowBytes
    }
    const missing = this.#windowBytes - this.#allowedBytes - this.#unread.length
    if (missing < this.#windowBytes / 2) return
    this.#allowedBytes += missing
    this.#stream.grant(missing)
  }

  #cancelled(reason: unknown): void {
    if (this.#phase !== 'open' && this.#phase !== 'ended') return
    const wasOpen = this.#phase === 'open'
    this.#phase = 'cancelled'
    this.#isAwaited = false
    this.#unread.clear()
    this.#narrow()
    if (wasOpen) this.#stream.readingCancelled(reason)
  }

  #narrow(): void {
    if (this.#windowBytes === initialWindowBytes) return
    this.#stream.widen(initialWindowBytes - this.#windowBytes)
    this.#windowBytes = initialWindowBytes
  }
}

function closed(): SpacedockError {
  return new SpacedockError('closed', 'The stream was closed.')
}
