import type { Frame } from './frames.ts'
import { maxPayloadBytes } from './frames.ts'

/** One request or response before it is cut into frames. */
export interface OutgoingMessage {
  type: 'request' | 'response'
  channel: number
  body: Uint8Array
  /** Called when its last frame was taken. */
  onTaken?: () => void
}

/**
 * Decides what goes out next. Control frames go first; messages that fit one frame keep their order among themselves;
 * larger ones take turns, a frame each, and let at least as many bytes of small ones pass between two turns. Only a few
 * large ones are under way at a time, so that the receiver never holds parts of many.
 */
export class OutgoingQueue {
  readonly #control: Frame[] = []
  readonly #small = new Map<number, OutgoingMessage>()
  readonly #large = new Map<number, { message: OutgoingMessage; sentBytes: number }>()
  readonly #waiting = new Map<number, OutgoingMessage>()
  #smallAllowanceBytes = maxPayloadBytes
  #queuedBytes = 0

  get isEmpty(): boolean {
    return this.#control.length === 0 && this.#small.size === 0 && this.#large.size === 0
  }

  get controlFrames(): number {
    return this.#control.length
  }

  /** Of messages; control frames are few and tiny. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  pushControl(frame: Frame): void {
    this.#control.push(frame)
  }

  pushMessage(message: OutgoingMessage): void {
    this.#queuedBytes += message.body.byteLength
    if (message.body.byteLength <= maxPayloadBytes) this.#small.set(message.channel, message)
    else {
      this.#waiting.set(message.channel, message)
      this.#admitWaiting()
    }
  }

  /** Forgets what of a message was not taken yet. */
  drop(channel: number): void {
    const small = this.#small.get(channel)
    const large = this.#large.get(channel)
    const waiting = this.#waiting.get(channel)
    if (small !== undefined) this.#queuedBytes -= small.body.byteLength
    if (large !== undefined) this.#queuedBytes -= large.message.body.byteLength - large.sentBytes
    if (waiting !== undefined) this.#queuedBytes -= waiting.body.byteLength
    this.#small.delete(channel)
    this.#large.delete(channel)
    this.#waiting.delete(channel)
    this.#admitWaiting()
  }

  /** The next frames: all control frames, then messages until `budgetBytes` of payload are reached. */
  take(budgetBytes: number): Frame[] {
    const frames = this.#control.splice(0)
    let takenBytes = 0
    while (takenBytes < budgetBytes) {
      const frame = this.#next()
      if (frame === undefined) break
      takenBytes += frame.payload.byteLength + perFrameCostBytes
      frames.push(frame)
    }
    return frames
  }

  #next(): Frame | undefined {
    const [small] = this.#small.values()
    const [large] = this.#large.values()
    if (small !== undefined && (large === undefined || this.#smallAllowanceBytes > 0)) {
      this.#smallAllowanceBytes -= small.body.byteLength + perFrameCostBytes
      this.#small.delete(small.channel)
      return this.#takeFrom(small, 0)
    }
    if (large === undefined) return undefined
    this.#smallAllowanceBytes = maxPayloadBytes
    const { message, sentBytes } = large
    this.#large.delete(message.channel)
    const frame = this.#takeFrom(message, sentBytes)
    // Back to the end of the line.
    if (frame.more)
      this.#large.set(message.channel, { message, sentBytes: sentBytes + frame.payload.byteLength })
    else this.#admitWaiting()
    return frame
  }

  #takeFrom(message: OutgoingMessage, offset: number): Frame {
    const payload = message.body.subarray(offset, offset + maxPayloadBytes)
    const more = offset + payload.byteLength < message.body.byteLength
    this.#queuedBytes -= payload.byteLength
    if (!more) message.onTaken?.()
    return { type: message.type, more, channel: message.channel, payload }
  }

  #admitWaiting(): void {
    for (const [channel, message] of this.#waiting) {
      if (this.#large.size >= maxLargeAtOnce) break
      this.#waiting.delete(channel)
      this.#large.set(channel, { message, sentBytes: 0 })
    }
  }
}

const maxLargeAtOnce = 8
// Keeps a flood of empty messages from counting as nothing.
const perFrameCostBytes = 64
