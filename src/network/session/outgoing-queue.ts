import type { Frame } from './frames.ts'
import { maxPayloadBytes } from './frames.ts'

/** Message before it is cut into frames; `open` and `event` always fit one. */
export interface OutgoingMessage {
  type: 'request' | 'response' | 'open' | 'event'
  /** Channel; 0 for events. */
  channel: number
  body: Uint8Array
  /** Called when its last frame was taken. */
  onTaken?: () => void
}

/** Sending half of a byte stream. */
export interface OutgoingStream {
  readonly channel: number
  /** Returns the next frame, whose payload is only valid until the turn ends, and whether another one could follow it. */
  takeFrame(): { frame: Frame; isReady: boolean } | undefined
}

/**
 * Schedules outgoing frames. Control frames and credits go first; messages that fit one frame keep their order among themselves;
 * larger ones and byte streams take turns, a frame each, and let at least as many bytes of small ones pass between two turns.
 * Only a few large messages are under way at a time, so that the receiver never holds parts of many.
 */
export class OutgoingQueue {
  readonly #control: Frame[] = []
  readonly #credits = new Map<number, number>()
  readonly #small = new Map<number, OutgoingMessage>()
  readonly #large = new Map<number, { message: OutgoingMessage; sentBytes: number }>()
  readonly #waiting = new Map<number, OutgoingMessage>()
  /** Streams that have something to send, and credit. */
  readonly #streams = new Map<number, OutgoingStream>()
  #isStreamsTurn = false
  #smallAllowanceBytes = maxPayloadBytes
  #queuedBytes = 0
  #bulkLeftBytes = 0
  #lastEventKey = 0

  get isEmpty(): boolean {
    return (
      this.#control.length === 0 &&
      this.#credits.size === 0 &&
      this.#small.size === 0 &&
      this.#large.size === 0 &&
      this.#streams.size === 0
    )
  }

  get controlFrames(): number {
    return this.#control.length
  }

  /** Bytes of queued messages; control frames are few and tiny, and streams hold their unsent bytes themselves. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  pushControl(frame: Frame): void {
    this.#control.push(frame)
  }

  /** Queues credit for a byte stream, or with channel 0 for events; unsent credit is added up. */
  pushCredit(channel: number, bytes: number): void {
    this.#credits.set(channel, (this.#credits.get(channel) ?? 0) + bytes)
  }

  pushMessage(message: OutgoingMessage): void {
    this.#queuedBytes += message.body.byteLength
    if (message.body.byteLength <= maxPayloadBytes) {
      this.#small.set(message.channel === 0 ? --this.#lastEventKey : message.channel, message)
    } else {
      this.#waiting.set(message.channel, message)
      this.#admitWaiting()
    }
  }

  /** Adds a stream that has something to send, and credit; it is asked for frames until it is not ready any more. */
  pushStream(stream: OutgoingStream): void {
    this.#streams.set(stream.channel, stream)
  }

  /** Drops the frames of a message or a byte stream that were not taken yet. */
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
    this.#streams.delete(channel)
    this.#credits.delete(channel)
    this.#admitWaiting()
  }

  /** Drops all frames that were not taken yet. */
  clear(): void {
    for (const part of [this.#small, this.#large, this.#waiting, this.#streams, this.#credits]) part.clear()
    this.#control.length = 0
    this.#queuedBytes = 0
  }

  /**
   * Takes the next frames: all control frames and credits, then others until `budgetBytes` of payload are reached, and of them
   * large messages and byte streams until `bulkBytes` are.
   */
  take(budgetBytes: number, bulkBytes = Number.POSITIVE_INFINITY): Frame[] {
    this.#bulkLeftBytes = bulkBytes
    const frames = this.#control.splice(0)
    for (const [channel, bytes] of this.#credits) frames.push(creditFrame(channel, bytes))
    this.#credits.clear()
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
    const [small] = this.#small
    const isTurn = this.#bulkLeftBytes > 0 && (this.#large.size > 0 || this.#streams.size > 0)
    if (small !== undefined && (!isTurn || this.#smallAllowanceBytes > 0)) {
      const [key, message] = small
      this.#smallAllowanceBytes -= message.body.byteLength + perFrameCostBytes
      this.#small.delete(key)
      return this.#takeFrom(message, 0)
    }
    if (!isTurn) return undefined
    this.#smallAllowanceBytes = maxPayloadBytes
    this.#isStreamsTurn = this.#large.size === 0 || (this.#streams.size > 0 && !this.#isStreamsTurn)
    const frame = this.#isStreamsTurn ? this.#takeFromStreams() : this.#takeFromLarge()
    this.#bulkLeftBytes -= frame?.payload.byteLength ?? 0
    return frame
  }

  #takeFromLarge(): Frame | undefined {
    const [large] = this.#large.values()
    if (large === undefined) return undefined
    const { message, sentBytes } = large
    this.#large.delete(message.channel)
    const frame = this.#takeFrom(message, sentBytes)
    // A message with more frames goes back to the end of the line.
    if (frame.more)
      this.#large.set(message.channel, { message, sentBytes: sentBytes + frame.payload.byteLength })
    else this.#admitWaiting()
    return frame
  }

  #takeFromStreams(): Frame | undefined {
    for (const stream of this.#streams.values()) {
      this.#streams.delete(stream.channel)
      const taken = stream.takeFrame()
      if (taken?.isReady === true) this.#streams.set(stream.channel, stream)
      if (taken !== undefined) return taken.frame
    }
    return this.#takeFromLarge()
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

function creditFrame(channel: number, bytes: number): Frame {
  const payload = new Uint8Array(4)
  new DataView(payload.buffer).setUint32(0, bytes)
  return { type: channel === 0 ? 'eventCredit' : 'credit', more: false, channel, payload }
}

const maxLargeAtOnce = 8
// Cost added to each frame, so that a flood of empty messages does not count as nothing.
const perFrameCostBytes = 64
