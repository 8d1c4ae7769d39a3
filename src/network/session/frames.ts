import { SpacedockError } from '../../errors.ts'

/**
 * Frames of a session stream: 4 bytes payload length, 1 byte type, 4 bytes channel, payload; numbers big-endian. The high bit of
 * the type says that more frames of the same message follow. Each header is checked as soon as its nine bytes are there, before a
 * byte of payload is kept.
 *
 * Types 0x20 to 0x2f are for byte streams and events, those from 0x60 on are optional: a reader skips an unknown one. Any other
 * unknown type ends the session.
 */
export const frameTypes = {
  dialerHello: 0x01,
  listenerHello: 0x02,
  dialerProof: 0x03,
  unknownDevice: 0x04,
  revoked: 0x05,
  otherVersion: 0x06,
  request: 0x10,
  response: 0x11,
  error: 0x12,
  cancel: 0x13,
  ping: 0x14,
  pong: 0x15,
  goodbye: 0x16,
  open: 0x20,
  accept: 0x21,
  data: 0x22,
  end: 0x23,
  credit: 0x24,
  stop: 0x25,
  reset: 0x26,
  event: 0x28,
  eventCredit: 0x29,
  systemEventCredit: 0x2a,
} as const

export type FrameType = keyof typeof frameTypes

export interface Frame {
  type: FrameType
  /** Whether more frames of this message follow; only `request` and `response` are ever continued. */
  more: boolean
  /** Channel chosen by the side that asks: odd for the dialer of the stream, even for the listener; 0 where there is none. */
  channel: number
  payload: Uint8Array
}

/** First of the types that a reader skips when unknown, so that later programs can say more to older ones. */
const firstOptionalType = 0x60

export const maxPayloadBytes = 64 * 1024
export const headerBytes = 9

export interface FrameRule {
  payloadBytes: readonly [min: number, max: number]
  /** Divisor of the payload length. @default 1 */
  unitBytes?: number
  onChannel: boolean
  continued: boolean
}

/** Rules for the frames of each type: PROTOCOL.md, 'Frames'. */
export const frameRules: Record<FrameType, FrameRule> = {
  dialerHello: { payloadBytes: [1, 256], onChannel: false, continued: false },
  listenerHello: { payloadBytes: [1, 256], onChannel: false, continued: false },
  dialerProof: { payloadBytes: [1, 256], onChannel: false, continued: false },
  unknownDevice: { payloadBytes: [0, 0], onChannel: false, continued: false },
  revoked: { payloadBytes: [32, 64], unitBytes: 32, onChannel: false, continued: false },
  otherVersion: { payloadBytes: [1, 16], onChannel: false, continued: false },
  request: { payloadBytes: [1, maxPayloadBytes], onChannel: true, continued: true },
  response: { payloadBytes: [0, maxPayloadBytes], onChannel: true, continued: true },
  error: { payloadBytes: [2, 8 * 1024], onChannel: true, continued: false },
  cancel: { payloadBytes: [0, 0], onChannel: true, continued: false },
  ping: { payloadBytes: [8, 8], onChannel: false, continued: false },
  pong: { payloadBytes: [8, 8], onChannel: false, continued: false },
  // Payload reserved for later versions.
  goodbye: { payloadBytes: [0, 64], onChannel: false, continued: false },
  open: { payloadBytes: [1, maxPayloadBytes], onChannel: true, continued: false },
  accept: { payloadBytes: [0, 0], onChannel: true, continued: false },
  data: { payloadBytes: [1, maxPayloadBytes], onChannel: true, continued: false },
  end: { payloadBytes: [0, 0], onChannel: true, continued: false },
  credit: { payloadBytes: [4, 4], onChannel: true, continued: false },
  stop: { payloadBytes: [2, 8 * 1024], onChannel: true, continued: false },
  reset: { payloadBytes: [2, 8 * 1024], onChannel: true, continued: false },
  event: { payloadBytes: [1, maxPayloadBytes], onChannel: false, continued: false },
  eventCredit: { payloadBytes: [4, 4], onChannel: false, continued: false },
  systemEventCredit: { payloadBytes: [4, 4], onChannel: false, continued: false },
}

const typeOfByte = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([name, byte]) => [byte, name as FrameType]),
)
const moreBit = 0x80

/** Encodes all frames in one piece, so that they cost one send; at the beginning of `room`, if they fit there. */
export function encodeFrames(frames: readonly Frame[], room?: Uint8Array): Uint8Array {
  const total = frames.reduce((sum, frame) => sum + headerBytes + frame.payload.byteLength, 0)
  const bytes =
    room !== undefined && total <= room.byteLength ? room.subarray(0, total) : new Uint8Array(total)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let offset = 0
  for (const frame of frames) {
    view.setUint32(offset, frame.payload.byteLength)
    view.setUint8(offset + 4, frameTypes[frame.type] | (frame.more ? moreBit : 0))
    view.setUint32(offset + 5, frame.channel)
    bytes.set(frame.payload, offset + headerBytes)
    offset += headerBytes + frame.payload.byteLength
  }
  return bytes
}

interface Header {
  type: FrameType
  more: boolean
  channel: number
}

/** Parses frames out of chunks of any size: `push` a chunk, then call `next` until it returns undefined. */
export class FrameParser {
  readonly #header = new Uint8Array(headerBytes)
  #headerFilled = 0
  #chunk: Uint8Array = new Uint8Array(0)
  #pending: (Header & { payload: Uint8Array; filled: number }) | undefined
  /** Remaining bytes of an optional frame to skip. */
  #skipBytes = 0

  /** Bytes held: the unparsed rest of the last chunk, and the incomplete frame. */
  get bufferedBytes(): number {
    return this.#chunk.byteLength + this.#headerFilled + (this.#pending?.payload.byteLength ?? 0)
  }

  /** Adds a chunk; copies nothing when `next` has returned undefined before. */
  push(chunk: Uint8Array): void {
    this.#chunk = this.#chunk.byteLength === 0 ? chunk : concatenate(this.#chunk, chunk)
  }

  /** Takes out what was not parsed. Between two frames only. */
  takeRest(): Uint8Array {
    const rest = this.#chunk
    this.#chunk = new Uint8Array(0)
    return rest
  }

  /** Returns the next frame. Throws `too-large` or `invalid-message`; the stream has to be reset then. */
  next(): Frame | undefined {
    if (this.#pending === undefined) {
      const read = this.#nextHeader()
      if (read === undefined) return undefined
      const { length, ...header } = read
      if (this.#chunk.byteLength >= length) {
        const payload = this.#chunk.subarray(0, length)
        this.#chunk = this.#chunk.subarray(length)
        return { ...header, payload }
      }
      this.#pending = { ...header, payload: new Uint8Array(length), filled: 0 }
    }
    const pending = this.#pending
    pending.filled += this.#fill(pending.payload, pending.filled)
    if (pending.filled < pending.payload.byteLength) return undefined
    this.#pending = undefined
    const { type, more, channel, payload } = pending
    return { type, more, channel, payload }
  }

  /** Parses the header of the next frame that is not skipped. */
  #nextHeader(): (Header & { length: number }) | undefined {
    for (;;) {
      const skipped = Math.min(this.#skipBytes, this.#chunk.byteLength)
      this.#skipBytes -= skipped
      this.#chunk = this.#chunk.subarray(skipped)
      this.#headerFilled += this.#fill(this.#header, this.#headerFilled)
      if (this.#headerFilled < headerBytes) return undefined
      this.#headerFilled = 0
      const header = parseHeader(this.#header)
      if (header.type !== 'optional') return header
      this.#skipBytes = header.length
    }
  }

  #fill(target: Uint8Array, filled: number): number {
    const taken = this.#chunk.subarray(0, target.byteLength - filled)
    target.set(taken, filled)
    this.#chunk = this.#chunk.subarray(taken.byteLength)
    return taken.byteLength
  }
}

function parseHeader(
  bytes: Uint8Array,
): (Header & { length: number }) | { type: 'optional'; length: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const length = view.getUint32(0)
  const typeByte = view.getUint8(4)
  const channel = view.getUint32(5)
  const more = (typeByte & moreBit) !== 0
  const code = typeByte & ~moreBit
  const type = typeOfByte.get(code)
  if (type === undefined && code >= firstOptionalType) {
    if (length > maxPayloadBytes) throw tooLong('optional', length)
    return { type: 'optional', length }
  }
  if (type === undefined) throw malformed(`of the unknown type ${code}`)
  const rule = frameRules[type]
  const [min, max] = rule.payloadBytes
  if (length > max) throw tooLong(type, length)
  if (length < min || (more && length === 0)) throw malformed(`${type} that is too short`)
  if (length % (rule.unitBytes ?? 1) !== 0) throw malformed(`${type} of ${length} bytes`)
  if (more && !rule.continued) throw malformed(`${type} that claims to be continued`)
  if (rule.onChannel !== channel > 0) throw malformed(`${type} on channel ${channel}`)
  return { type, more, channel, length }
}

function tooLong(type: string, length: number): SpacedockError {
  return new SpacedockError(
    'too-large',
    `The other device sent a frame (${type}) that claims ${length} bytes.`,
  )
}

function malformed(what: string): SpacedockError {
  return new SpacedockError('invalid-message', `The other device sent a frame ${what}.`)
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.byteLength + second.byteLength)
  both.set(first)
  both.set(second, first.byteLength)
  return both
}
