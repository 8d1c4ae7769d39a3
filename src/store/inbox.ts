import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import { boxUsage } from './box-usage.ts'
import { peerIdColumn } from './columns.ts'
import { InboxNumbers } from './inbox-numbers.ts'
import { fits, InboxShares } from './inbox-shares.ts'
import type { PersistentClock } from './persistent-clock.ts'
import { seenIds } from './seen-ids.ts'
import {
  maximumBodyBytes,
  messageRowSchema,
  messageValues,
  type Amount,
  type MessageRecord,
  type StoredMessage,
} from './stored-message.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface Acceptance {
  outcome: 'new' | 'duplicate'
  /** Position in the inbox; of a duplicate, the one its first arrival got. */
  sequence: number
}

/** Refusal of messages for which the share of their sender is too small. */
export interface NoRoom {
  room: Amount
}

/** Reason for which a message was taken out: by a rule that this device's person or application chose. */
export interface Dropped {
  messages: number
  /** `age`: kept for as long as was wished; `share`: the oldest of a sender whose share was full, where that is the rule. */
  rule: 'age' | 'share'
}

/**
 * Messages that arrived. A sender has a share of the inbox; what does not fit into it is refused, and stays with the sender. What was
 * accepted goes by the rules that were chosen for it and no other. A sequence is never used twice.
 */
export interface Inbox {
  /**
   * Stores each message of one sender unless its id was seen before; durable on return, and one transaction, so that an
   * acknowledged message is neither lost nor doubled. None is stored when they do not fit into the sender's share: then it says how
   * much does. Errors: `too-large`, `invalid-message`, `disk-full`; then none is stored.
   */
  accept(messages: readonly MessageRecord[]): Acceptance[] | NoRoom
  /** Messages behind the sequence `after`, the oldest first; all of them without a `limit`. */
  list(options?: { after?: number; limit?: number }): StoredMessage[]
  /** The last sequence that was given to a message, also to one that has gone; 0 when there was none yet. */
  lastSequence(): number
  /** Amount of all messages that are there. */
  amount(): Amount
  /** Whether a message of the largest size would not fit into the sender's share. */
  isFullFor(peerId: PeerId): boolean
  /** Takes a message out; returns whether it was there. Its id is remembered all the same. */
  remove(sequence: number): boolean
  /** Takes out some of those up to this sequence, the oldest first; returns how many, 0 when none is left. */
  removeSome(upTo: number): number
  /** Takes out some of those that are to go by the rules; returns how many, 0 when none is left. */
  prune(): number
  /** Calls the listener whenever messages went by a rule; the function returned stops it. */
  onDropped(listener: (dropped: Dropped) => void): () => void
}

export interface InboxLimits {
  /** Number of messages kept. @default 10_000 */
  messages?: number
  /** Size of all bodies together. @default 256 MiB */
  bytes?: number
  /** Rule for a sender whose share is full: it waits, or its own oldest messages go. @default 'wait' */
  whenFull?: 'wait' | 'drop-oldest'
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
    whenFull = 'wait',
    keptMs = Number.POSITIVE_INFINITY,
    seenPerDevice = 100_000,
  } = limits
  const shares = new InboxShares({ messages: mostMessages, bytes: mostBytes })
  const listeners = new Set<(dropped: Dropped) => void>()
  const seen = seenIds(database, seenPerDevice)
  const usage = boxUsage(database, 'inbox')
  const insert = database.query(
    'INSERT INTO inbox (id, peer_id, kind, body, at_ms, received_at_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING sequence',
    v.object({ sequence: v.number() }),
  )
  const select = database.query(
    'SELECT * FROM inbox WHERE sequence > ? ORDER BY sequence LIMIT ?',
    messageRowSchema,
  )
  const columns = 'sequence, length(body) AS bytes, received_at_ms'
  const selectOldest = database.query(
    `SELECT ${columns} FROM inbox WHERE sequence <= ? ORDER BY sequence LIMIT ?`,
    oldestSchema,
  )
  const selectOldestOf = database.query(
    `SELECT ${columns} FROM inbox WHERE peer_id = ? ORDER BY sequence LIMIT ?`,
    oldestSchema,
  )
  const numbers = new InboxNumbers(database, clock)
  const remove = database.query(
    'DELETE FROM inbox WHERE sequence = ? RETURNING peer_id, length(body) AS bytes',
    v.object({ peer_id: peerIdColumn, bytes: v.number() }),
  )

  /** Runs work in a transaction; its counting counts only when all of it holds. */
  function counted<Result>(work: () => Result): Result {
    try {
      return database.transaction(work)
    } catch (error) {
      usage.forget()
      numbers.forget()
      throw error
    }
  }

  function acceptOne(message: MessageRecord, nowMs: number): Acceptance {
    const values = messageValues(message)
    const { peerId, id } = message
    const known = seen.sequenceOf(peerId, id)
    if (known !== undefined) return { outcome: 'duplicate', sequence: known }
    const sequence = insert.get(...values, nowMs)?.sequence
    if (sequence === undefined) throw new SpacedockError('internal', 'The message was not stored.')
    seen.add(peerId, id, sequence)
    usage.change(peerId, { messages: 1, bytes: values[3].length })
    return { outcome: 'new', sequence }
  }

  /** Room of the sender; where its own oldest make way, what it has takes none. */
  function roomOf(peerId: PeerId): Amount {
    const held = usage.of(peerId)
    const { messages, bytes } = usage.inAll()
    if (whenFull === 'wait') return shares.room(held, { messages, bytes })
    return shares.room(nothing, { messages: messages - held.messages, bytes: bytes - held.bytes })
  }

  /** Amount of those that are not there yet. */
  function newAmount(messages: readonly MessageRecord[]): Amount {
    const fresh = messages.filter(({ peerId, id }) => seen.sequenceOf(peerId, id) === undefined)
    return {
      messages: fresh.length,
      bytes: fresh.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0),
    }
  }

  /** Removes these in their order, as long as they are to go, and no more than two mebibytes unless one alone is larger. */
  function removeWhile(rows: readonly Oldest[], isUnwanted: (row: Oldest) => boolean): number {
    let removed = 0
    let bytes = 0
    for (const row of rows) {
      bytes += row.bytes
      if (removed > 0 && bytes > stepBytes) break
      if (!isUnwanted(row)) break
      removeOne(row.sequence)
      removed++
    }
    return removed
  }

  function removeOne(sequence: number): boolean {
    const removed = remove.get(sequence)
    if (removed !== undefined) usage.change(removed.peer_id, { messages: -1, bytes: -removed.bytes })
    return removed !== undefined
  }

  function removeAged(most: number): number {
    if (keptMs === Number.POSITIVE_INFINITY) return 0
    return removeWhile(
      selectOldest.all(Number.MAX_SAFE_INTEGER, most),
      (row) => clock.now() - row.received_at_ms > keptMs,
    )
  }

  /** Removes the oldest of a sender until what it sends now fits into its share, where that is the rule. */
  function makeWay(peerId: PeerId, arriving: Amount): number {
    const isTooMuch = (): boolean => !fits(arriving, shares.room(usage.of(peerId), usage.inAll()))
    if (whenFull === 'wait' || arriving.messages === 0 || !isTooMuch()) return 0
    let removed = 0
    for (let step = 1; step > 0 && isTooMuch(); removed += step)
      step = removeWhile(selectOldestOf.all(peerId, stepMessages), isTooMuch)
    return removed
  }

  /** Removes the oldest of whoever has most, when the limits were lowered and that is the rule. */
  function removeOverfull(): number {
    const isOverfull = (): boolean => shares.isOverfull(usage.inAll())
    const largest = whenFull === 'drop-oldest' && isOverfull() ? usage.largest() : undefined
    if (largest === undefined) return 0
    return removeWhile(selectOldestOf.all(largest, stepMessages), isOverfull)
  }

  function dropped(rule: Dropped['rule'], messages: number): number {
    if (messages > 0) for (const listener of listeners) listener({ messages, rule })
    return messages
  }

  return {
    accept(messages) {
      const [first] = messages
      if (first === undefined) return []
      const arriving = newAmount(messages)
      const room = roomOf(first.peerId)
      if (arriving.messages > 0 && !fits(arriving, room)) return { room }
      let aged = 0
      let excess = 0
      // By itself: a note that is rolled back with the messages would count as written down.
      clock.keepNowAndThen()
      const acceptances = counted(() => {
        if (arriving.messages > 0) numbers.begin()
        aged = removeAged(messages.length + 16)
        excess = makeWay(first.peerId, arriving)
        // The same for all: the clock asks the system, which takes as long as an insertion.
        const nowMs = clock.now()
        return messages.map((message) => acceptOne(message, nowMs))
      })
      dropped('age', aged)
      dropped('share', excess)
      return acceptances
    },
    list: ({ after = 0, limit = -1 } = {}) => select.all(after, limit),
    lastSequence: () => numbers.last(),
    amount: () => usage.inAll(),
    isFullFor: (peerId) => !fits(largestMessage, roomOf(peerId)),
    remove: (sequence) => counted(() => removeOne(sequence)),
    removeSome: (upTo) => counted(() => removeWhile(selectOldest.all(upTo, stepMessages), () => true)),
    prune() {
      const { aged, excess } = counted(() => ({
        aged: removeAged(stepMessages),
        excess: removeOverfull(),
      }))
      return dropped('age', aged) + dropped('share', excess)
    },
    onDropped(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

const oldestSchema = v.object({ sequence: v.number(), bytes: v.number(), received_at_ms: v.number() })
type Oldest = v.InferOutput<typeof oldestSchema>

const nothing: Amount = { messages: 0, bytes: 0 }
const largestMessage: Amount = { messages: 1, bytes: maximumBodyBytes }
/** Number of messages in one step: deleted bytes are overwritten and synced, and that must not take long. */
const stepMessages = 200
const stepBytes = 2 * 1024 * 1024
