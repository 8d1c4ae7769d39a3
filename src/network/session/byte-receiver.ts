import { ReadableStream } from 'node:stream/web'
import type { ReadableStreamDefaultController } from 'node:stream/web'
import { SpacedockError } from '../../errors.ts'
import { ByteQueue, hasOwnMemory } from './byte-queue.ts'
import { initialWindowBytes, type ReceiveWindow } from './receive-window.ts'

/** Stream of which this is the receiving half. */
export interface ByteReceiverListener {
  /** Grants the other side credit for so many more bytes. */
  grant(bytes: number): void
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
  readonly #window: ReceiveWindow
  /** Bytes that the application has read since the window was last adapted. */
  #readBytes = 0
  #phase: 'open' | 'cancelled' | 'ended' | 'failed' = 'open'
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** Whether the application waits for bytes. */
  #isAwaited = false

  constructor(stream: ByteReceiverListener, window: ReceiveWindow) {
    this.#stream = stream
    this.#window = window
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
    // What is unread takes room until it is read.
    if (this.#unread.length === 0) this.#window.close()
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

  /** Gives the room of what is unread back to the session: nothing more comes, and whoever still has the stream keeps it. */
  release(): void {
    this.#window.close()
  }

  fail(error: Error): void {
    if (this.#phase === 'failed') return
    this.#controller?.error(error)
    this.#phase = 'failed'
    this.#isAwaited = false
    this.#unread.clear()
    this.#window.close()
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
    if (this.#phase === 'ended' && this.#unread.length === 0) this.#window.close()
    if (this.#phase !== 'open' || this.#missingBytes < this.#window.dueBytes) return
    this.#window.adapt(this.#readBytes)
    this.#readBytes = 0
    const missing = this.#missingBytes
    if (missing <= 0) return
    this.#allowedBytes += missing
    this.#stream.grant(missing)
  }

  /** Part of the window that is neither unread nor may be sent. */
  get #missingBytes(): number {
    return this.#window.bytes - this.#allowedBytes - this.#unread.length
  }

  #cancelled(reason: unknown): void {
    if (this.#phase !== 'open' && this.#phase !== 'ended') return
    const wasOpen = this.#phase === 'open'
    this.#phase = 'cancelled'
    this.#isAwaited = false
    this.#unread.clear()
    this.#window.close()
    if (wasOpen) this.#stream.readingCancelled(reason)
  }
}

function closed(): SpacedockError {
  return new SpacedockError('closed', 'The stream was closed.')
}
