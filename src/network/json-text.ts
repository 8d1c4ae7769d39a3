import { SpacedockError } from '../errors.ts'

/** Nesting limit, checked before parsing: code that walks a value recursively must not run out of stack. */
export const maxJsonDepth = 64

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Encodes a value as UTF-8 JSON text; `undefined` as no bytes at all. Throws `invalid-message` for what JSON cannot express. */
export function encodeJson(value: unknown): Uint8Array {
  if (value === undefined) return new Uint8Array(0)
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new SpacedockError('invalid-message', 'The value cannot be written as JSON.', { cause })
  }
  if (text === undefined) throw new SpacedockError('invalid-message', 'The value cannot be written as JSON.')
  // Small texts share a block of memory, which is several times as fast as one of their own each.
  const bytes = Buffer.from(text)
  refuseDeepNesting(bytes)
  return bytes
}

/** Decodes UTF-8 JSON text; no bytes at all are `undefined`. Throws `invalid-message`. The caller caps the size. */
export function decodeJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return undefined
  refuseDeepNesting(bytes)
  try {
    const text = decoder.decode(bytes)
    return mayNamePrototype(text) ? JSON.parse(text, refusePrototypeKey) : JSON.parse(text)
  } catch (cause) {
    throw new SpacedockError('invalid-message', 'What arrived is not valid JSON.', { cause })
  }
}

// Escapes can spell the key, too, so the cheap test looks for them: \u005f, \u005F.
function mayNamePrototype(text: string): boolean {
  return text.includes('__proto__') || text.includes(escaped)
}

const escaped = '\\u005'

function refusePrototypeKey(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('the key __proto__ is refused')
  return value
}

function refuseDeepNesting(bytes: Uint8Array): void {
  if (bytes.byteLength <= maxJsonDepth) return
  // What has few opening brackets is not nested deeply, and they are found much faster than their depth.
  if (countUpTo(maxJsonDepth, openBracket, bytes) + countUpTo(maxJsonDepth, openBrace, bytes) <= maxJsonDepth)
    return
  let depth = 0
  let inString = false
  for (let index = 0; index < bytes.byteLength; index++) {
    const byte = bytes[index]
    if (inString) {
      if (byte === backslash) index++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === openBracket || byte === openBrace) {
      depth++
      if (depth > maxJsonDepth) {
        throw new SpacedockError(
          'invalid-message',
          `The value is nested more than ${maxJsonDepth} levels deep.`,
        )
      }
    } else if (byte === closeBracket || byte === closeBrace) depth--
  }
}

/** Counts the occurrences of a byte, one more than `most` at most. */
function countUpTo(most: number, byte: number, bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(byte); at !== -1 && count <= most; at = bytes.indexOf(byte, at + 1)) count++
  return count
}

const backslash = 0x5c
const quote = 0x22
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
