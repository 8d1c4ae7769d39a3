import { SpacedockError } from '../../errors.ts'
import {
  firstOptionalType,
  frameRules,
  frameTypes,
  headerBytes,
  maxPayloadBytes,
  moreBit,
  type Frame,
  type FrameType,
} from './frames.ts'

interface Header {
  type: FrameType | 'optional'
  more: boolean
  channel: number
  length: number
}

/**
 * Parses frames out of chunks of any size: `push` a chunk, then call `next` until it returns undefined. What a byte stream carries
 * is a view of the chunk, in pieces as they come: of a `data` frame that is cut up each piece is a frame. Of every other frame the
 * payload is whole.
 */
export class FrameParser {
  readonly #header = new Uint8Array(headerBytes)
  #headerFilled = 0
  /** Last chunk, and how much of it is parsed. */
  #chunk: Uint8Array = empty
  #at = 0
  /** Frame of which a part is here; of a `data` frame nothing is kept. */
  #pending: (Frame & { filled: number }) | undefined
  /** Channel and remaining bytes of a `data` frame. */
  #dataChannel = 0
  #dataBytes = 0
  /** Remaining bytes of an optional frame to skip. */
  #skipBytes = 0

  /** Bytes held: the unparsed rest of the last chunk, and the incomplete frame. */
  get bufferedBytes(): number {
    return this.#leftBytes + this.#headerFilled + (this.#pending?.payload.byteLength ?? 0)
  }

  /** Adds a chunk; copies nothing when `next` has returned undefined before. */
  push(chunk: Uint8Array): void {
    this.#chunk = this.#leftBytes === 0 ? chunk : concatenate(this.#take(this.#leftBytes), chunk)
    this.#at = 0
  }

  /** Takes out what was not parsed. Between two frames only. */
  takeRest(): Uint8Array {
    return this.#take(this.#leftBytes)
  }

  /** Returns the next frame. Throws `too-large` or `invalid-message`; the stream has to be reset then. */
  next(): Frame | undefined {
    while (this.#leftBytes > 0) {
      if (this.#dataBytes > 0) return this.#takeData()
      const frame = this.#pending === undefined ? this.#begin() : this.#complete(this.#pending)
      if (frame !== undefined) return frame
    }
    return undefined
  }

  get #leftBytes(): number {
    return this.#chunk.byteLength - this.#at
  }

  /** Begins a frame, or passes over a part of one; returns it when it is whole. */
  #begin(): Frame | undefined {
    if (this.#skipBytes > 0) {
      const skipped = Math.min(this.#skipBytes, this.#leftBytes)
      this.#skipBytes -= skipped
      this.#at += skipped
      return undefined
    }
    const header = this.#nextHeader()
    if (header === undefined) return undefined
    const { type, more, channel, length } = header
    if (type === 'optional') this.#skipBytes = length
    else if (type === 'data') {
      this.#dataChannel = channel
      this.#dataBytes = length
    } else if (this.#leftBytes >= length) return { type, more, channel, payload: this.#take(length) }
    else this.#pending = { type, more, channel, payload: new Uint8Array(length), filled: 0 }
    return undefined
  }

  #takeData(): Frame {
    const payload = this.#take(this.#dataBytes)
    this.#dataBytes -= payload.byteLength
    return { type: 'data', more: false, channel: this.#dataChannel, payload }
  }

  #complete(pending: Frame & { filled: number }): Frame | undefined {
    const { type, more, channel, payload, filled } = pending
    const part = this.#take(payload.byteLength - filled)
    payload.set(part, filled)
    pending.filled += part.byteLength
    if (pending.filled < payload.byteLength) return undefined
    this.#pending = undefined
    return { type, more, channel, payload }
  }

  #nextHeader(): Header | undefined {
    // The usual case is that it lies whole in the chunk.
    if (this.#headerFilled === 0 && this.#leftBytes >= headerBytes) {
      this.#at += headerBytes
      return parseHeader(this.#chunk, this.#at - headerBytes)
    }
    const part = this.#take(headerBytes - this.#headerFilled)
    this.#header.set(part, this.#headerFilled)
    this.#headerFilled += part.byteLength
    if (this.#headerFilled < headerBytes) return undefined
    this.#headerFilled = 0
    return parseHeader(this.#header, 0)
  }

  /** Takes up to so many bytes of the chunk; all of it as it is, since each view costs memory. */
  #take(mostBytes: number): Uint8Array {
    const chunk = this.#chunk
    const from = this.#at
    const to = Math.min(chunk.byteLength, from + mostBytes)
    this.#at = to
    return from === 0 && to === chunk.byteLength ? chunk : chunk.subarray(from, to)
  }
}

function parseHeader(bytes: Uint8Array, at: number): Header {
  const length = readUint32(bytes, at)
  const typeByte = bytes[at + 4] ?? 0
  const channel = readUint32(bytes, at + 5)
  const more = (typeByte & moreBit) !== 0
  const code = typeByte & ~moreBit
  const type = typeOfByte[code]
  if (type === undefined && code >= firstOptionalType) {
    if (length > maxPayloadBytes) throw tooLong('optional', length)
    return { type: 'optional', more, channel, length }
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

function readUint32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  const low = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
  return high * 0x1_0000 + low
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

const typeOfByte: (FrameType | undefined)[] = []
for (const [name, byte] of Object.entries(frameTypes)) typeOfByte[byte] = name as FrameType
const empty = new Uint8Array(0)
