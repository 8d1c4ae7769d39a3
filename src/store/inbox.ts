import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import type { PersistentClock } from './persistent-clock.ts'
import { seenIds } from './seen-ids.ts'
import {
  messageRowSchema,
  messageValues,
  type Amount,
  type MessageRecord,
  type StoredMessage,
} from './stored-message.ts'

export interface Acceptance {
  outcome: 'new' | 'duplicate'
  /** Position in the inbox; of a duplicate, the one its first arrival got. */
  sequence: number
}

/** Messages that arrived. The oldest go when there are more than it keeps; a sequence is never used twice. */
export interface Inbox {
  /**
   * Stores each message unless this sender's id was seen before; durable on return, and one transaction, so that an
   * acknowledged message is neither lost nor doubled. What is too much then goes, but only of what was there before: the limits
   * may be exceeded by one delivery until the next one, or `prune`. Errors: `too-large`, `invalid-message`, `disk-full`; then none is
   * stored.
   */
  accept(messages: readonly MessageRecord[]): Acceptance[]
  /** Messages behind the sequence `after`, the oldest first; all of them without a `limit`. */
  list(options?: { after?: number; limit?: number }): StoredMessage[]
  /** The last sequence that was given to a message, also to one that has gone; 0 when there was none yet. */
  lastSequence(): number
  /** Takes a message out; returns whether it was there. Its id is remembered all the same. */
  remove(sequence: number): boolean
  /** Takes out some of those up to this sequence, the oldest first; returns how many, 0 when none is left. */
  removeSome(upTo: number): number
  /** Takes out some of those that are too many or too old; returns how many, 0 when none is left. */
  prune(): number
  /** Calls the listener whenever messages went because of the limits, with how many; the function returned stops it. */
  onDropped(listener: (count: number) => void): () => void
}

export interface InboxLimits {
  /** Number of messages kept. @default 10_000 */
  messages?: number
  /** Size of all bodies together. @default 256 MiB */
  bytes?: number
  /** Time that they are kept after their arrival. @default for ever */
  keptMs?: number
  /** Number of ids remembered per sender, longer than the messages themselves. @default 100_000 */
  seenPerDevice?: number
}

// oxlint-disable-next-line max-lines-per-function -- an object of closures: they are short, and share what it keeps
export function openInbox(database: Database, clock: PersistentClock, limits: InboxLimits = {}): Inbox {
  const {
    messages: mostMessages = 10_000,
    bytes: mostBytes = 256 * 1024 * 1024,
    keptMs = Number.POSITIVE_INFINITY,
    seenPerDevice = 100_000,
  } = limits
  const listeners = new Set<(count: number) => void>()
  const seen = seenIds(database, seenPerDevice)
  const insert = database.query(
    'INSERT INTO inbox (id, peer_id, kind, body, at_ms, received_at_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING sequence',
    v.object({ sequence: v.number() }),
  )
  const select = database.query(
    'SELECT * FROM inbox WHERE sequence > ? ORDER BY sequence LIMIT ?',
    messageRowSchema,
  )
  const selectOldest = database.query(
    'SELECT sequence, length(body) AS bytes, received_at_ms FROM inbox ORDER BY sequence LIMIT ?',
    v.object({ sequence: v.number(), bytes: v.number(), received_at_ms: v.number() }),
  )
  const selectLast = database.query(
    `SELECT seq FROM sqlite_sequence WHERE name = 'inbox'`,
    v.object({ seq: v.number() }),
  )
  const remove = database.query(
    'DELETE FROM inbox WHERE sequence = ? RETURNING length(body) AS bytes',
    v.object({ bytes: v.number() }),
  )
  const measure = database.query(
    'SELECT COUNT(*) AS messages, COALESCE(SUM(length(body)), 0) AS bytes FROM inbox',
    v.object({ messages: v.number(), bytes: v.number() }),
  )
  /** Amount kept, counted as it changes; undefined when it has to be read anew. */
  let kept: Amount | undefined

  function lastSequence(): number {
    return selectLast.get()?.seq ?? 0
  }

  function change(messages: number, bytes: number): void {
    if (kept !== undefined) kept = { messages: kept.messages + messages, bytes: kept.bytes + bytes }
  }

  /** Runs work in a transaction; its counting counts only when all of it holds. */
  function counted<Result>(work: () => Result): Result {
    kept ??= measure.get()
    try {
      return database.transaction(work)
    } catch (error) {
      kept = undefined
      throw error
    }
  }

  function acceptOne(message: MessageRecord): Acceptance {
    const values = messageValues(message)
    const { peerId, id } = message
    const known = seen.sequenceOf(peerId, id)
    if (known !== undefined) return { outcome: 'duplicate', sequence: known }
    const sequence = insert.get(...values, clock.now())?.sequence
    if (sequence === undefined) throw new SpacedockError('internal', 'The message was not stored.')
    seen.add(peerId, id, sequence)
    change(1, values[3].length)
    return { outcome: 'new', sequence }
  }

  /** Removes at most so many, and no more than two mebibytes unless one alone is larger. */
  function removeOldest(most: number, isUnwanted: IsUnwanted): number {
    let removed = 0
    let bytes = 0
    for (const oldest of selectOldest.all(most)) {
      bytes += oldest.bytes
      if (removed > 0 && bytes > stepBytes) break
      if (!isUnwanted({ sequence: oldest.sequence, receivedAtMs: oldest.received_at_ms })) break
      removeOne(oldest.sequence)
      removed++
    }
    return removed
  }

  function removeOne(sequence: number): boolean {
    const removed = remove.get(sequence)
    if (removed !== undefined) change(-1, -removed.bytes)
    return removed !== undefined
  }

  function mayBeTooMuch(): boolean {
    return keptMs < Number.POSITIVE_INFINITY || isTooMuch({ receivedAtMs: clock.now() })
  }

  function isTooMuch({ receivedAtMs }: { receivedAtMs: number }): boolean {
    const { messages, bytes } = (kept ??= measure.get()) ?? { messages: 0, bytes: 0 }
    return messages > mostMessages || bytes > mostBytes || clock.now() - receivedAtMs > keptMs
  }

  function dropped(count: number): number {
    if (count > 0) for (const listener of listeners) listener(count)
    return count
  }

  return {
    accept(messages) {
      let droppedCount = 0
      const acceptances = counted(() => {
        clock.keepNowAndThen()
        const before = lastSequence()
        const accepted = messages.map(acceptOne)
        // The number removed exceeds that of the arrivals, so that it gets there when the limit was lowered.
        if (mayBeTooMuch()) {
          const isUnwanted: IsUnwanted = (oldest) => oldest.sequence <= before && isTooMuch(oldest)
          droppedCount = removeOldest(messages.length + 16, isUnwanted)
        }
        return accepted
      })
      dropped(droppedCount)
      return acceptances
    },
    list: ({ after = 0, limit = -1 } = {}) => select.all(after, limit),
    lastSequence,
    remove: (sequence) => counted(() => removeOne(sequence)),
    removeSome: (upTo) => counted(() => removeOldest(stepMessages, ({ sequence }) => sequence <= upTo)),
    prune: () => dropped(counted(() => (mayBeTooMuch() ? removeOldest(stepMessages, isTooMuch) : 0))),
    onDropped(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

type IsUnwanted = (oldest: { sequence: number; receivedAtMs: number }) => boolean

/** Number of messages in one step: deleted bytes are overwritten and synced, and that must not take long. */
const stepMessages = 200
const stepBytes = 2 * 1024 * 1024
