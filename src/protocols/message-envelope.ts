import * as v from 'valibot'
import type { MessageContent } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { decodeJson } from '../network/json-text.ts'
import { DeclaredFailure } from '../network/session/remote-error.ts'
import type { Amount, MessageKind, StoredMessage } from '../store/stored-message.ts'

/** Messages on the wire. PROTOCOL.md, 'Messages of a person or an application'. */

export const messagesName = 'spacedock-message'
export const messagesVersion = 1

const envelopeSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,64}$/)),
  kind: v.picklist(['text', 'json']),
  body: v.string(),
  at: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8.64e15)),
})

export const deliverySchema = v.object({
  // Length before content: an issue for each of half a million takes seconds.
  messages: v.pipe(v.array(v.unknown()), v.minLength(1), v.maxLength(256), v.array(envelopeSchema)),
})
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Room of a sender in the receiver's inbox; a receiver that does not say has none. */
const roomSchema = v.object({ messages: v.optional(count, 0), bytes: v.optional(count, 0) })
/** Errors that the receiver may answer with instead of a receipt. `inbox-full`: all of it together does not fit there. */
export const deliveryErrors = { 'inbox-full': roomSchema }
export const receiptSchema = v.object({ stored: v.literal(true) })

/** One message: `body` is the text itself, or JSON text. */
export type Envelope = v.InferOutput<typeof envelopeSchema>
/** Messages in the order in which they were sent. */
export type Delivery = v.InferOutput<typeof deliverySchema>
/** Receipt for a delivery: all its messages are durable at the receiver. */
export type Receipt = v.InferOutput<typeof receiptSchema>

export function toEnvelope({ id, kind, body, atMs }: StoredMessage): Envelope {
  // A clock that stands before 1970 must not hold up what waits.
  return { id, kind, body, at: Math.max(0, atMs) }
}

/** Throws `invalid-argument`. */
export function encodeContent(content: MessageContent): { kind: MessageKind; body: string } {
  // Callers without types may give anything.
  const given: unknown = content
  if (typeof given === 'string') return { kind: 'text', body: given }
  if (typeof given === 'object' && given !== null) {
    if ('text' in given && typeof given.text === 'string') return { kind: 'text', body: given.text }
    if ('json' in given) return { kind: 'json', body: jsonOf(given.json) }
  }
  throw new SpacedockError('invalid-argument', 'Only a text or { json: value } can be sent.', {
    hint: 'Give a string, { text: string }, or the value as { json: value }.',
  })
}

function jsonOf(value: unknown): string {
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(value)
  } catch (thrown) {
    cause = thrown
  }
  if (text !== undefined && isJson(text)) return text
  throw new SpacedockError('invalid-argument', 'The value cannot be written as JSON.', {
    hint: 'Send a string, or something made of objects, arrays, numbers, strings, booleans and null, at most 64 levels deep.',
    cause,
  })
}

export function decodeContent({ kind, body }: StoredMessage): { text: string } | { json: unknown } {
  return kind === 'text' ? { text: body } : { json: JSON.parse(body) as unknown }
}

/** Whether the text is JSON that can do no harm when it is read: not too deep, and without a key `__proto__`. */
export function isJson(text: string): boolean {
  try {
    decodeJson(new TextEncoder().encode(text))
    return text.length > 0
  } catch {
    return false
  }
}

/** Returns the time as messages show it. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Reads the room from what a receiver answered; null when it did not refuse for want of room. */
export function roomIn(error: unknown): Amount | null {
  if (!(error instanceof DeclaredFailure) || error.declared.code !== 'inbox-full') return null
  const room = v.safeParse(roomSchema, error.declared.data)
  return room.success ? room.output : { messages: 0, bytes: 0 }
}
