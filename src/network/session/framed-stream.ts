import { addAbortListener } from 'node:events'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { abortReason } from '../../abort.ts'
import type { Frame } from './frames.ts'
import { encodeFrames, FrameParser } from './frames.ts'
import { CongestionWindow } from './congestion-window.ts'
import { OutgoingQueue } from './outgoing-queue.ts'

/** Called with the number of all bytes that pass, frame headers included. */
export type CountBytes = (direction: 'received' | 'sent', byteLength: number) => void

/**
 * Frames over a libp2p stream, with back-pressure both ways. While nobody receives, the stream is paused, so that at
 * most a window of the muxer is held. Writing waits until libp2p's own buffer is empty: `onDrain()` resolves too early
 * and `send` accepts without bound. What is queued in one turn of the event loop leaves in one `send`.
 */
export class FramedStream {
  /** Queue of frames to send; `flush` is to be called after each push. */
  readonly outgoing = new OutgoingQueue()
  readonly congestionWindow = new CongestionWindow()
  /** Called once when no frame can come any more; the error is undefined when the other side closed in order. */
  onEnd: ((error: Error | undefined) => void) | undefined
  /** Called whenever bytes arrive or leave. */
  onReceived: (() => void) | undefined
  onSent: (() => void) | undefined
  readonly #stream: Stream
  readonly #count: CountBytes
  readonly #parser = new FrameParser()
  #receiver: ((frame: Frame) => void) | undefined
  /** Whether the other side has closed its write side, and all its bytes are in the parser. */
  #isComplete = false
  #ended: { error: Error | undefined } | undefined
  #flush: NodeJS.Immediate | undefined
  #delivering = false

  constructor(stream: Stream, count: CountBytes = () => {}) {
    this.#stream = stream
    this.#count = count
    stream.maxReadBufferLength = maxPausedBytes
    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('end', this.#onReadEnd)
    stream.addEventListener('close', this.#onClose)
    stream.addEventListener('drain', this.#onWritable)
    stream.addEventListener('idle', this.#onWritable)
    if (stream.status !== 'open') this.#end(interrupted())
    // Negotiation may have read ahead, past the end even, and pushed back what it did not need: 'end' does not come again.
    else if (stream.readableEnded && stream.readBufferLength === 0) this.#isComplete = true
  }

  get ended(): { error: Error | undefined } | undefined {
    return this.#ended
  }

  /** Hands every frame to `receiver`, in order; without one, reading pauses. */
  receive(receiver: ((frame: Frame) => void) | undefined): void {
    this.#receiver = receiver
    if (receiver === undefined) return
    this.#deliver()
    if (this.#receiver !== undefined && this.#stream.readStatus === 'paused') this.#stream.resume()
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

  /** Sends what is queued at the end of this turn of the event loop. */
  flush(): void {
    if (this.#ended === undefined) this.#flush ??= setImmediate(this.#write)
  }

  /** Sends what is queued and closes the write side. */
  async close(signal: AbortSignal): Promise<void> {
    while (!this.outgoing.isEmpty && this.#ended === undefined) {
      signal.throwIfAborted()
      this.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (this.#ended === undefined) await this.#stream.close({ signal })
  }

  abort(error: Error): void {
    this.#end(error)
    this.#stream.abort(error)
  }

  readonly #write = (): void => {
    this.#flush = undefined
    const stream = this.#stream
    while (this.#ended === undefined && !this.outgoing.isEmpty) {
      // Sending goes on in #onWritable.
      if (stream.writableNeedsDrain || stream.writeBufferLength > 0) return
      try {
        const frames = this.outgoing.take(batchBytes, this.congestionWindow.freeBytes)
        // The congestion window is full: sending goes on when more has arrived.
        if (frames.length === 0) return
        const bytes = encodeFrames(frames)
        stream.send(bytes)
        this.congestionWindow.sent(bytes.byteLength)
        this.#count('sent', bytes.byteLength)
      } catch (error) {
        this.abort(error instanceof Error ? error : interrupted(error))
        return
      }
      this.onSent?.()
    }
  }

  readonly #onWritable = (): void => {
    if (!this.outgoing.isEmpty) this.flush()
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    this.#parser.push(event.data.subarray())
    this.#count('received', event.data.byteLength)
    this.onReceived?.()
    if (this.#stream.readableEnded) this.#isComplete = true
    this.#deliver()
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
      if (this.#receiver === undefined && this.#stream.readStatus === 'readable') this.#stream.pause()
    } catch (error) {
      this.abort(error instanceof Error ? error : interrupted(error))
    } finally {
      this.#delivering = false
    }
  }

  readonly #onReadEnd = (): void => {
    // A reset and a lost connection emit this, too; their own event explains them.
    if (this.#stream.status !== 'open' && this.#stream.status !== 'closing') return
    this.#isComplete = true
    this.#deliver()
  }

  readonly #onClose = (event: StreamCloseEvent): void => this.#end(event.error ?? interrupted())

  #end(error: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = { error }
    if (this.#flush !== undefined) clearImmediate(this.#flush)
    this.#stream.removeEventListener('message', this.#onMessage)
    this.#stream.removeEventListener('end', this.#onReadEnd)
    this.#stream.removeEventListener('close', this.#onClose)
    this.#stream.removeEventListener('drain', this.#onWritable)
    this.#stream.removeEventListener('idle', this.#onWritable)
    this.onEnd?.(error)
  }
}

const maxPausedBytes = 1024 * 1024
const batchBytes = 256 * 1024

function interrupted(cause?: unknown): SpacedockError {
  return new SpacedockError('interrupted', 'The connection to the other device was lost.', { cause })
}
