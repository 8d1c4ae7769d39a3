import * as v from 'valibot'
import type { MessageContent } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { MessageKind, StoredMessage } from '../store/stored-message.ts'

/** Messages on the wire. PROTOCOL.md, 'Messages of a person or an application'. */

const envelopeSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,64}$/)),
  kind: v.picklist(['text', 'json']),
  body: v.string(),
  at: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8.64e15)),
})

export const deliverySchema = v.strictObject({
  messages: v.pipe(v.array(envelopeSchema), v.minLength(1), v.maxLength(256)),
})
export const receiptSchema = v.strictObject({ stored: v.literal(true) })

/** One message: `body` is the text itself, or JSON text. */
export type Envelope = v.InferOutput<typeof envelopeSchema>
/** Messages in the order in which they were sent. */
export type Delivery = v.InferOutput<typeof deliverySchema>
/** All messages of the delivery are durable at the receiver. */
export type Receipt = v.InferOutput<typeof receiptSchema>

export function toEnvelope({ id, kind, body, atMs }: StoredMessage): Envelope {
  return { id, kind, body, at: atMs }
}

export function encodeContent(content: MessageContent): { kind: MessageKind; body: string } {
  if (typeof content === 'string') return { kind: 'text', body: content }
  if ('text' in content) return { kind: 'text', body: content.text }
  const body: string | undefined = JSON.stringify(content.json)
  if (body === undefined) {
    throw new SpacedockError('invalid-argument', 'The value cannot be written as JSON.', {
      hint: 'Send a string, or something made of objects, arrays, numbers, strings, booleans and null.',
    })
  }
  return { kind: 'json', body }
}

export function decodeContent({ kind, body }: StoredMessage): { text: string } | { json: unknown } {
  return kind === 'text' ? { text: body } : { json: JSON.parse(body) as unknown }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
