import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import { epochMilliseconds, peerIdColumn } from './columns.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export type MessageKind = 'text' | 'json'

/** A message as it is kept, in the outbox by its receiver's peer id, in the inbox by its sender's. */
export interface MessageRecord {
  /** Chosen by the sender: 1 to 128 printable ASCII characters without spaces. */
  id: string
  peerId: PeerId
  kind: MessageKind
  /** The text, or the JSON text. At most 256 KiB as UTF-8. */
  body: string
  /** Time of sending by the sender's clock, milliseconds since the epoch. */
  atMs: number
}

export interface StoredMessage extends MessageRecord {
  /** Position that grows with every message of this box and is never used twice. */
  sequence: number
}

export const maximumBodyBytes = 256 * 1024
/** Size of the body as a JSON string, in which a control character is six bytes: it has to fit into one request of a session. */
const maximumWrittenBytes = 768 * 1024
/** Most bytes that a message has in a delivery besides its body. */
export const envelopeBytes = 256
/** Size of a body that fits whatever it holds. */
const alwaysFitsBytes = maximumWrittenBytes / 6 - 16

const recordSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/)),
  peerId: peerIdColumn,
  kind: v.picklist(['text', 'json']),
  // A lone surrogate has no UTF-8: it would come back as another character.
  body: v.pipe(
    v.string(),
    v.check((text) => text.isWellFormed()),
  ),
  atMs: v.pipe(v.number(), v.transform(Math.trunc), epochMilliseconds),
})

// A first character U+FEFF would otherwise be taken for a byte-order mark and dropped.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Columns of both boxes. */
export const messageRowSchema = v.pipe(
  v.object({
    sequence: v.number(),
    id: v.string(),
    peer_id: peerIdColumn,
    kind: v.picklist(['text', 'json']),
    body: v.instance(Uint8Array),
    at_ms: epochMilliseconds,
  }),
  v.transform(({ sequence, id, peer_id: peerId, kind, body, at_ms: atMs }): StoredMessage => ({
    sequence,
    id,
    peerId,
    kind,
    body: utf8.decode(body),
    atMs,
  })),
)

/** Number of messages, and bytes of their bodies together. */
export interface Amount {
  messages: number
  bytes: number
}

/** Size of a message in a delivery, in bytes of JSON. */
export function writtenBytesOf({ body }: MessageRecord): number {
  return Buffer.byteLength(JSON.stringify(body)) + envelopeBytes
}

/** Values of a row, in the order id, peer_id, kind, body, at_ms. Errors: `invalid-message`, `too-large`. */
export function messageValues(message: MessageRecord): [string, PeerId, MessageKind, Uint8Array, number] {
  const parsed = v.safeParse(recordSchema, message)
  if (!parsed.success) {
    throw new SpacedockError(
      'invalid-message',
      'The message cannot be kept: its id, time or text is not valid.',
      {
        hint: 'Send well-formed Unicode text.',
      },
    )
  }
  const { id, peerId, kind, body, atMs } = parsed.output
  const bytes = new TextEncoder().encode(body)
  if (bytes.length > maximumBodyBytes) {
    throw new SpacedockError(
      'too-large',
      `The message has ${bytes.length} bytes, and at most ${maximumBodyBytes} fit.`,
      {
        hint: 'Split it into smaller ones.',
      },
    )
  }
  const writtenBytes = bytes.length <= alwaysFitsBytes ? 0 : Buffer.byteLength(JSON.stringify(body))
  if (writtenBytes > maximumWrittenBytes) {
    throw new SpacedockError(
      'too-large',
      `The message has ${writtenBytes} bytes with its control characters written out, and at most ${maximumWrittenBytes} fit.`,
      { hint: 'Send text, or split it into smaller ones.' },
    )
  }
  return [id, peerId, kind, bytes, atMs]
}
