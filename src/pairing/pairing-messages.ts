import { base64urlnopad } from '@scure/base'
import * as v from 'valibot'
import { parseStrictJson } from './strict-json.ts'

/** Version of the protocol, said in message 1. Only equal versions talk. */
export const pairingVersion = 1
/** Largest encoded message, bytes. */
export const maxMessageLength = 4096

/** A base64url string of exactly `length` bytes; without padding, without stray bits (RFC 4648 section 3.5). */
function bytes(length: number) {
  return v.pipe(
    v.string(),
    v.maxLength(Math.ceil((length * 4) / 3)),
    v.rawTransform<string, Uint8Array>(({ dataset, addIssue, NEVER }) => {
      try {
        const decoded = base64urlnopad.decode(dataset.value)
        if (decoded.length === length) return decoded
      } catch {
        // reported below
      }
      addIssue({ message: `expected ${length} bytes in base64url` })
      return NEVER
    }),
  )
}

/** Reasons for an initiator's no to a holder of the code. */
export const refusalReasons = ['declined', 'used', 'expired', 'cancelled', 'burnt', 'failed'] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** Bytes of a sealed device info: its padded plaintext and the AEAD's tag. */
export const sealedLength = 256 + 16

const pairingMessage = v.variant('type', [
  v.strictObject({
    type: v.literal('PairingRequest'),
    version: v.literal(pairingVersion),
    suite: v.pipe(v.string(), v.maxLength(64)),
    commitment: bytes(32),
    probe: bytes(16),
  }),
  v.strictObject({ type: v.literal('Challenge'), nonce: bytes(32), share: bytes(32), probe: bytes(16) }),
  v.strictObject({
    type: v.literal('Response'),
    nonce: bytes(32),
    share: bytes(32),
    sealed: bytes(sealedLength),
    proof: bytes(32),
  }),
  v.strictObject({ type: v.literal('Waiting') }),
  v.strictObject({ type: v.literal('Complete'), sealed: bytes(sealedLength), proof: bytes(32) }),
  v.strictObject({ type: v.literal('Refused'), reason: v.picklist(refusalReasons), mac: bytes(32) }),
  v.strictObject({ type: v.literal('Confirmed'), acknowledgement: bytes(32) }),
  v.strictObject({ type: v.literal('Acknowledged') }),
  v.strictObject({ type: v.literal('Cancel'), mac: bytes(32) }),
])

/** Messages between two devices while they pair. PROTOCOL.md, 'Messages'. */
export type PairingMessage = v.InferOutput<typeof pairingMessage>
export type MessageOf<Type extends PairingMessage['type']> = Extract<PairingMessage, { type: Type }>

export function encodeMessage(message: PairingMessage): Uint8Array {
  const entries = Object.entries(message).map(([key, value]: [string, unknown]) => [
    key,
    value instanceof Uint8Array ? base64urlnopad.encode(value) : value,
  ])
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
}

/** Decodes a message; null for anything that is not exactly one: too long, another type, an unknown or repeated field. */
export function decodeMessage(encoded: Uint8Array): PairingMessage | null {
  if (encoded.length > maxMessageLength) return null
  const json = parseStrictJson(encoded)
  if (json === null) return null
  const parsed = v.safeParse(pairingMessage, json.value)
  return parsed.success ? parsed.output : null
}
