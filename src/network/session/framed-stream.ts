import { addAbortListener } from 'node:events'
import { SpacedockError } from '../../errors.ts'
import { abortReason } from '../../abort.ts'
import type { Frame } from './frames.ts'
import { FrameParser } from './frame-parser.ts'
import { FrameBatch } from './frame-batch.ts'
import { CongestionWindow } from './congestion-window.ts'
import { OutgoingQueue } from './outgoing-queue.ts'
import type { SessionTransport, TransportListener } from './session-transport.ts'

/** Called with the number of all bytes that pass, frame headers included. */
export type CountBytes = (direction: 'received' | 'sent', byteLength: number) => void

/**
 * Frames over a transport, with back-pressure both ways: while nobody receives, it is paused, and nothing is written before what was
 * written has left. What is queued by code that runs without a break, or while something leaves, leaves in one piece.
 */
export class FramedStream implements TransportListener {
  /** Queue of frames to send; `flush` is to be called after each push. */
  readonly outgoing = new OutgoingQueue()
  readonly congestionWindow = new CongestionWindow()
  /** Called once when no frame can come any more; the error is undefined when the other side closed in order. */
  onEnd: ((error: Error | undefined) => void) | undefined
  /** Called whenever bytes arrive or leave. */
  onReceived: (() => void) | undefined
  onSent: (() => void) | undefined
  readonly #transport: SessionTransport
  readonly #count: CountBytes
  readonly #parser = new FrameParser()
  readonly #batch = new FrameBatch()
  #receiver: ((frame: Frame) => void) | undefined
  /** Whether the other side has closed its write side, and all its bytes are in the parser. */
  #isComplete = false
  #ended: { error: Error | undefined } | undefined
  #isFlushing = false
  #delivering = false

  constructor(transport: SessionTransport, count: CountBytes = () => {}) {
    this.#transport = transport
    this.#count = count
    transport.listen(this)
  }

  /** End of the frames; undefined while more may come. */
  get ended(): { error: Error | undefined } | undefined {
    return this.#ended
  }

  /** Hands every frame to `receiver`, in order; without one, reading pauses. */
  receive(receiver: ((frame: Frame) => void) | undefined): void {
    this.#receiver = receiver
    if (receiver === undefined) return
    this.#deliver()
    if (this.#receiver !== undefined && this.#ended === undefined) this.#transport.resume()
  }

  /** Resolves with the next frame alone. Rejects when the stream ends first. */
  nextFrame(signal: AbortSignal): Promise<Frame> {
    return new Promise<Frame>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        this.receive(undefined)
        this.onEnd = undefined
        listening[Symbol.dispose]()
        finish()
      }
      if (signal.aborted) return reject(abortReason(signal))
      const listening = addAbortListener(signal, () => settle(() => reject(abortReason(signal))))
      this.onEnd = (error) => settle(() => reject(error ?? interrupted()))
      this.receive((frame) => settle(() => resolve(frame)))
      if (this.#ended !== undefined) this.onEnd?.(this.#ended.error)
      return undefined
    })
  }

  /** Ends the hello: writes the last frame of it at once, and returns the bytes that have come after the other side's. */
  endHello(): Uint8Array {
    const frames = this.outgoing.take(0)
    if (frames.length > 0 && this.#ended === undefined) {
      this.#append(frames)
      this.#writeBatch()
    }
    return this.#parser.takeRest()
  }

  /** Sends what is queued when the code that runs now, and what it has settled, is done. */
  flush(): void {
    if (this.#ended !== undefined || this.#isFlushing || !this.#transport.canWrite) return
    this.#isFlushing = true
    // A tick comes after all microtasks, but only from within them.
    queueMicrotask(this.#writeSoon)
  }

  /** Sends what is queued and closes the write side. */
  async close(signal: AbortSignal): Promise<void> {
    while ((this.#batch.length > 0 || !this.outgoing.isEmpty) && this.#ended === undefined) {
      signal.throwIfAborted()
      this.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (this.#ended === undefined) await this.#transport.close({ signal })
  }

  abort(error: Error): void {
    this.#end(error)
    this.#transport.abort(error)
  }

  readonly #writeSoon = (): void => process.nextTick(this.#write)

  readonly #write = (): void => {
    this.#isFlushing = false
    // Sending goes on in `writable`.
    if (this.#ended !== undefined || !this.#transport.canWrite) return undefined
    const frames = this.outgoing.take(batchBytes - this.#batch.length, this.congestionWindow.freeBytes)
    if (frames.length > 0) {
      const byteLength = this.#append(frames)
      if (byteLength >= bulkBytes && this.#mayGrow) return this.flush()
    }
    // The congestion window is full: sending goes on when more has arrived.
    if (this.#batch.length === 0) return undefined
    try {
      this.#writeBatch()
    } catch (error) {
      this.abort(error instanceof Error ? error : interrupted(error))
      return undefined
    }
    if (this.#transport.canWrite) this.#goOn()
    return this.onSent?.()
  }

  /**
   * Whether a batch waits for those who wrote much: they may write more when they are told that it was taken. Not on a slow link: it
   * gets a frame at a time, with a mark behind each.
   */
  get #mayGrow(): boolean {
    return this.#batch.length < batchBytes && this.congestionWindow.freeBytes >= 2 * batchBytes
  }

  #append(frames: readonly Frame[]): number {
    const before = this.#batch.length
    this.#batch.append(frames)
    const byteLength = this.#batch.length - before
    this.congestionWindow.sent(byteLength)
    return byteLength
  }

  #writeBatch(): void {
    this.#count('sent', this.#batch.length)
    this.#batch.leave((bytes) => this.#transport.write(bytes))
  }

  writable(): void {
    this.#goOn()
  }

  /** Sends more in the next turn of the event loop: a transport that takes all at once would leave no turn to anything else. */
  #goOn(): void {
    if (this.#ended !== undefined || this.#isFlushing) return
    if (this.#batch.length === 0 && this.outgoing.isEmpty) return
    this.#isFlushing = true
    setImmediate(this.#write)
  }

  received(bytes: Uint8Array): void {
    if (this.#ended !== undefined) return
    this.#parser.push(bytes)
    this.#count('received', bytes.byteLength)
    this.onReceived?.()
    this.#deliver()
  }

  finished(): void {
    this.#isComplete = true
    this.#deliver()
  }

  closed(error: Error | undefined): void {
    this.#end(error ?? interrupted())
  }

  #deliver(): void {
    // A receiver that replaces itself while it runs must not be overtaken.
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (this.#receiver !== undefined && this.#ended === undefined) {
        const frame = this.#parser.next()
        if (frame === undefined) {
          if (this.#isComplete) this.#end(undefined)
          return
        }
        this.#receiver(frame)
      }
      if (this.#receiver === undefined) this.#transport.pause()
    } catch (error) {
      this.abort(error instanceof Error ? error : interrupted(error))
    } finally {
      this.#delivering = false
    }
  }

  #end(error: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = { error }
    this.onEnd?.(error)
  }
}

const batchBytes = 128 * 1024
/** Bytes from which on a batch waits for more of the same: where they are fewer, nobody waits to write. */
const bulkBytes = 16 * 1024

function interrupted(cause?: unknown): SpacedockError {
  return new SpacedockError('interrupted', 'The connection to the other device was lost.', { cause })
}
