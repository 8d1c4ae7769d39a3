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
export const firstOptionalType = 0x60

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

/** Bit of a frame's type: more frames of the same message follow. */
export const moreBit = 0x80

/** Encodes all frames in one piece. */
export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  const bytes = new Uint8Array(framesLength(frames))
  encodeInto(bytes, 0, frames)
  return bytes
}

/** Length of frames once they are encoded. */
export function framesLength(frames: readonly Frame[]): number {
  let total = 0
  for (const { payload } of frames) total += headerBytes + payload.byteLength
  return total
}

/** Encodes all frames one behind the other, from `offset` on. */
export function encodeInto(bytes: Uint8Array, offset: number, frames: readonly Frame[]): void {
  let at = offset
  for (const { type, more, channel, payload } of frames) {
    writeUint32(bytes, at, payload.byteLength)
    bytes[at + 4] = frameTypes[type] | (more ? moreBit : 0)
    writeUint32(bytes, at + 5, channel)
    bytes.set(payload, at + headerBytes)
    at += headerBytes + payload.byteLength
  }
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
