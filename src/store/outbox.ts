import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import { messageRowSchema, messageValues, type MessageRecord, type StoredMessage } from './stored-message.ts'

/** Messages that wait until their receiver has them, in order. */
export interface Outbox {
  /** Durable on return. Errors: `too-large`, `invalid-message`, `disk-full` (also when too many wait for the device). */
  add(message: MessageRecord): StoredMessage
  /** The oldest one for the device; with `after`, the oldest behind that sequence. */
  next(peerId: string, options?: { after?: number }): StoredMessage | undefined
  /** All of them, or all for one device, the oldest first. */
  list(options?: { peerId?: string }): StoredMessage[]
  /** How many wait for the device; without one, how many wait at all. */
  count(peerId?: string): number
  /** Returns whether it was there. */
  remove(id: string): boolean
  /** Returns how many were dropped. */
  dropFor(peerId: string): number
}

export interface OutboxLimits {
  /** @default 10_000 */
  messagesPerDevice?: number
}

export function openOutbox(database: Database, { messagesPerDevice = 10_000 }: OutboxLimits = {}): Outbox {
  const insert = database.query(
    'INSERT INTO outbox (id, peer_id, kind, body, at_ms) VALUES (?, ?, ?, ?, ?) RETURNING *',
    messageRowSchema,
  )
  const selectNext = database.query(
    'SELECT * FROM outbox WHERE peer_id = ? AND sequence > ? ORDER BY sequence LIMIT 1',
    messageRowSchema,
  )
  const selectAll = database.query('SELECT * FROM outbox ORDER BY sequence', messageRowSchema)
  const selectFor = database.query(
    'SELECT * FROM outbox WHERE peer_id = ? ORDER BY sequence',
    messageRowSchema,
  )
  const countFor = database.query(
    'SELECT COUNT(*) AS count FROM outbox WHERE peer_id = ?',
    v.object({ count: v.number() }),
  )
  const deleteOne = database.command('DELETE FROM outbox WHERE id = ?')
  const deleteFor = database.command('DELETE FROM outbox WHERE peer_id = ?')
  const countAll = database.query('SELECT COUNT(*) AS count FROM outbox', v.object({ count: v.number() }))
  const count = (peerId?: string): number =>
    (peerId === undefined ? countAll.get() : countFor.get(peerId))?.count ?? 0

  return {
    add(message) {
      const values = messageValues(message)
      if (count(message.peerId) >= messagesPerDevice) {
        throw new SpacedockError(
          'disk-full',
          `${messagesPerDevice} messages are waiting for this device already.`,
          {
            hint: 'Wait until it has been online, or revoke it if it never will be again.',
          },
        )
      }
      const stored = database.transaction(() => insert.get(...values))
      if (stored === undefined) throw new SpacedockError('internal', 'The message was not stored.')
      return stored
    },
    next: (peerId, { after = 0 } = {}) => selectNext.get(peerId, after),
    list: ({ peerId } = {}) => (peerId === undefined ? selectAll.all() : selectFor.all(peerId)),
    count,
    remove: (id) => deleteOne.run(id) > 0,
    dropFor: (peerId) => deleteFor.run(peerId),
  }
}
