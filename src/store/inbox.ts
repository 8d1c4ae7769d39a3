import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import { messageRowSchema, messageValues, type MessageRecord, type StoredMessage } from './stored-message.ts'

export interface Acceptance {
  outcome: 'new' | 'duplicate'
  /** Position in the inbox; of a duplicate, the one its first arrival got. */
  sequence: number
}

/** Messages that arrived. The newest 10,000 are kept. */
export interface Inbox {
  /**
   * Stores the message unless this sender's id was seen before; durable on return, and one transaction, so that an
   * acknowledged message is neither lost nor doubled. Errors: `too-large`, `invalid-message`, `disk-full`.
   */
  accept(message: MessageRecord): Acceptance
  /** The oldest first, behind the sequence `after`; all of them without a `limit`. */
  list(options?: { after?: number; limit?: number }): StoredMessage[]
}

export interface InboxLimits {
  /** @default 10_000 */
  messages?: number
  /** Ids remembered per sender, longer than the messages themselves. @default 100_000 */
  seenPerDevice?: number
}

export function openInbox(
  database: Database,
  { messages = 10_000, seenPerDevice = 100_000 }: InboxLimits = {},
): Inbox {
  const sequenceSchema = v.object({ sequence: v.number() })
  const selectSeen = database.query('SELECT sequence FROM seen WHERE peer_id = ? AND id = ?', sequenceSchema)
  const insert = database.query(
    'INSERT INTO inbox (id, peer_id, kind, body, at_ms) VALUES (?, ?, ?, ?, ?) RETURNING sequence',
    sequenceSchema,
  )
  const insertSeen = database.command('INSERT INTO seen (peer_id, id, sequence) VALUES (?, ?, ?)')
  const deleteOld = database.command('DELETE FROM inbox WHERE sequence <= ?')
  const select = database.query(
    'SELECT * FROM inbox WHERE sequence > ? ORDER BY sequence LIMIT ?',
    messageRowSchema,
  )
  const forgetOldIds = seenRetention(database, seenPerDevice)

  return {
    accept(message) {
      const values = messageValues(message)
      const { peerId, id } = message
      return database.transaction(() => {
        const seen = selectSeen.get(peerId, id)
        if (seen !== undefined) return { outcome: 'duplicate', sequence: seen.sequence }
        const sequence = insert.get(...values)?.sequence
        if (sequence === undefined) throw new SpacedockError('internal', 'The message was not stored.')
        insertSeen.run(peerId, id, sequence)
        deleteOld.run(sequence - messages)
        forgetOldIds(peerId)
        return { outcome: 'new', sequence }
      })
    },
    list: ({ after = 0, limit = -1 } = {}) => select.all(after, limit),
  }
}

/** Per sender, so that one device cannot make us forget what another has sent. */
function seenRetention(database: Database, seenPerDevice: number): (peerId: string) => void {
  const countFor = database.query(
    'SELECT COUNT(*) AS count FROM seen WHERE peer_id = ?',
    v.object({ count: v.number() }),
  )
  const prune = database.command(
    `DELETE FROM seen WHERE peer_id = ? AND sequence <= (
      SELECT sequence FROM seen WHERE peer_id = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
  )
  // Counting and pruning walk the sender's rows, so they are done once in a while.
  const interval = Math.max(1, Math.floor(seenPerDevice / 100))
  const untilCheck = new Map<string, number>()
  return (peerId) => {
    const left = (untilCheck.get(peerId) ?? 1) - 1
    untilCheck.set(peerId, left > 0 ? left : interval)
    if (left > 0) return
    const count = countFor.get(peerId)?.count ?? 0
    if (count > seenPerDevice) prune.run(peerId, peerId, seenPerDevice)
  }
}
