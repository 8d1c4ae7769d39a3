import * as v from 'valibot'
import { sanitizeDeviceName } from './device-name.ts'
import { sealedLength } from './pairing-messages.ts'
import { parseStrictJson } from './strict-json.ts'

/** Facts about itself that a device tells, sealed, to the one it pairs with. Its identity is never among them. */
export interface DeviceDescription {
  name: string
}

const plaintextLength = sealedLength - 16
const schema = v.strictObject({ name: v.string() })

/** Encodes as JSON, padded with spaces to one length so that the size of a frame does not tell the length of a name. */
export function encodeDescription(description: DeviceDescription): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({ name: sanitizeDeviceName(description.name) }))
  const padded = new Uint8Array(plaintextLength).fill(0x20)
  padded.set(json)
  return padded
}

/** Decodes and sanitises the name, whatever the other side sent. Null when it is not a description. */
export function decodeDescription(plaintext: Uint8Array): DeviceDescription | null {
  const json = parseStrictJson(plaintext)
  const parsed = v.safeParse(schema, json?.value)
  return parsed.success ? { name: sanitizeDeviceName(parsed.output.name) } : null
}
