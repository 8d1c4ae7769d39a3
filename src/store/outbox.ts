import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import type { PersistentClock } from './persistent-clock.ts'
import { outboxExpiry, type DueMessage, type WaitingMessage } from './outbox-expiry.ts'
import { boxUsage, type BoxUsage } from './box-usage.ts'
import {
  envelopeBytes,
  messageRowSchema,
  messageValues,
  writtenBytesOf,
  type Amount,
  type MessageRecord,
  type StoredMessage,
} from './stored-message.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdColumn } from './columns.ts'

export interface NewMessage extends MessageRecord {
  /** Time that it may wait; null: for ever. @default the outbox's own limit */
  expiresInMs?: number | null
}

/** Messages that wait until their receiver has them, in order, or until their time is over. */
export interface Outbox {
  /**
   * Adds all in one transaction, durable on return. Returns for each its message, or why it is not kept: `too-large`,
   * `invalid-message`, `outbox-full`. Throws `disk-full` and the like, and keeps none then.
   */
  add(messages: readonly NewMessage[]): (StoredMessage | SpacedockError)[]
  /**
   * The oldest messages for the device whose time is not over, as many as are sent together: 256, and 128 KiB unless one alone is
   * larger. Where a path carries less than any message may have, `roomBytes` of JSON, those are passed over that do not fit.
   */
  batch(peerId: PeerId, roomBytes?: number): StoredMessage[]
  /** All waiting messages, the oldest first. */
  list(): WaitingMessage[]
  /** Number of waiting messages. */
  count(): number
  /** Removes all at once. Returns how many were there. */
  remove(ids: readonly string[]): number
  /** Milliseconds until the time of a message is over, 0 when it is already; null when there is none that will be. */
  untilExpiry(): number | null
  /** Takes out messages whose time is over, a hundred at most, save those that are just being sent. */
  expire(isUnderWay: (id: string) => boolean): DueMessage[]
  /** The last hundred that expired in the last thirty days. */
  expired(): WaitingMessage[]
  /** Drops the messages for a device that is not trusted any more, in the transaction of that. Returns how many. */
  dropFor(peerId: PeerId): number
}

export interface OutboxLimits {
  /** Amount kept for one device. @default 10,000 messages and 64 MiB */
  perDevice?: Amount
  /** Amount kept for all devices. @default 100,000 messages and 256 MiB */
  inAll?: Amount
  /** Time that a message waits when it does not say itself; null: for ever. @default 365 days */
  expiresInMs?: number | null
}

const mebibyte = 1024 * 1024
const dayMs = 24 * 3_600_000
const defaults: Required<OutboxLimits> = {
  perDevice: { messages: 10_000, bytes: 64 * mebibyte },
  inAll: { messages: 100_000, bytes: 256 * mebibyte },
  expiresInMs: 365 * dayMs,
}

export function openOutbox(database: Database, clock: PersistentClock, limits: OutboxLimits = {}): Outbox {
  return new StoredOutbox(database, clock, limits)
}

class StoredOutbox implements Outbox {
  readonly #database: Database
  readonly #clock: PersistentClock
  readonly #limits: Required<OutboxLimits>
  readonly #queries: ReturnType<typeof prepare>
  readonly #expiry: ReturnType<typeof outboxExpiry>
  readonly #usage: BoxUsage

  constructor(database: Database, clock: PersistentClock, limits: OutboxLimits) {
    this.#database = database
    this.#clock = clock
    this.#limits = { ...defaults, ...limits }
    this.#queries = prepare(database)
    this.#expiry = outboxExpiry(database, clock)
    this.#usage = boxUsage(database, 'outbox')
  }

  add(messages: readonly NewMessage[]): (StoredMessage | SpacedockError)[] {
    // By itself: a note that is rolled back with the messages would count as written down.
    this.#clock.keepNowAndThen()
    // The same for all: the clock asks the system, which takes as long as an insertion.
    const nowMs = this.#clock.now()
    return this.#counted(() => messages.map((message) => refusalOr(() => this.#insert(message, nowMs))))
  }

  batch(peerId: PeerId, roomBytes = Infinity): StoredMessage[] {
    const { sizes, fitting, upTo } = this.#queries
    const now = this.#clock.now()
    let bytes = 0
    if (roomBytes < alwaysEnoughBytes) {
      return fitting
        .all(peerId, now, roomBytes, roomBytes, batchMessages)
        .filter((message) => (bytes += writtenBytesOf(message)) <= roomBytes)
    }
    const together = sizes
      .all(peerId, now, batchMessages)
      .filter((row, index) => (bytes += row.bytes) <= batchBytes || index === 0)
    const last = together.at(-1)
    return last === undefined ? [] : upTo.all(peerId, now, last.sequence)
  }

  list(): WaitingMessage[] {
    return this.#expiry.waiting()
  }

  count(): number {
    return this.#usage.inAll().messages
  }

  remove(ids: readonly string[]): number {
    return this.#counted(() => ids.filter((id) => this.#remove(id)).length)
  }

  untilExpiry(): number | null {
    return this.#expiry.until()
  }

  expire(isUnderWay: (id: string) => boolean): DueMessage[] {
    const due = this.#expiry
      .due()
      .filter(({ id }) => !isUnderWay(id))
      .slice(0, expireAtOnce)
    if (due.length === 0) {
      this.#clock.keepNowAndThen()
      return []
    }
    return this.#counted(() => {
      for (const { sequence, id } of due) {
        this.#expiry.record(sequence)
        this.#remove(id)
      }
      this.#expiry.forgetOld()
      this.#clock.keep()
      return due
    })
  }

  expired(): WaitingMessage[] {
    return this.#expiry.expired()
  }

  dropFor(peerId: PeerId): number {
    this.#usage.forget()
    this.#expiry.dropFor(peerId)
    return this.#queries.removeFor.run(peerId)
  }

  #insert(message: NewMessage, nowMs: number): StoredMessage {
    const { perDevice, inAll, expiresInMs: usualMs } = this.#limits
    const values = messageValues(message)
    const [, peerId, , { length: bytes }] = values
    requireRoom(this.#usage.of(peerId), perDevice, bytes, 'this device')
    requireRoom(this.#usage.inAll(), inAll, bytes, 'devices that are away')
    const { expiresInMs = usualMs } = message
    const stored = this.#queries.insert.get(...values, this.#expiry.timeAfter(nowMs, expiresInMs))
    if (stored === undefined) throw new SpacedockError('internal', 'The message was not stored.')
    this.#usage.change(peerId, { messages: 1, bytes })
    return stored
  }

  #remove(id: string): boolean {
    const removed = this.#queries.remove.get(id)
    if (removed !== undefined) this.#usage.change(removed.peer_id, { messages: -1, bytes: -removed.bytes })
    return removed !== undefined
  }

  /** Runs work in a transaction; its counting counts only when all of it holds. */
  #counted<Result>(work: () => Result): Result {
    try {
      return this.#database.transaction(work)
    } catch (error) {
      this.#usage.forget()
      throw error
    }
  }
}

/** Size in a delivery: the body and what belongs to it besides. */
const writtenBytes = `(octet_length(json_quote(CAST(body AS TEXT))) + ${envelopeBytes})`
/** Size of a delivery of the largest message, or of the largest batch. */
const alwaysEnoughBytes = 1024 * 1024
const expireAtOnce = 100
const batchMessages = 256
const batchBytes = 128 * 1024

function prepare(database: Database) {
  const insert = database.query(
    'INSERT INTO outbox (id, peer_id, kind, body, at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING *',
    messageRowSchema,
  )
  const sizes = database.query(
    `SELECT sequence, length(body) AS bytes FROM outbox
      WHERE peer_id = ? AND ifnull(expires_at_ms > ?, 1) ORDER BY sequence LIMIT ?`,
    v.object({ sequence: v.number(), bytes: v.number() }),
  )
  const fitting = database.query(
    `SELECT * FROM outbox
      WHERE peer_id = ? AND ifnull(expires_at_ms > ?, 1) AND length(body) <= ? AND ${writtenBytes} <= ?
      ORDER BY sequence LIMIT ?`,
    messageRowSchema,
  )
  const upTo = database.query(
    `SELECT * FROM outbox
      WHERE peer_id = ? AND ifnull(expires_at_ms > ?, 1) AND sequence <= ? ORDER BY sequence`,
    messageRowSchema,
  )
  const remove = database.query(
    'DELETE FROM outbox WHERE id = ? RETURNING peer_id, length(body) AS bytes',
    v.object({ peer_id: peerIdColumn, bytes: v.number() }),
  )
  const removeFor = database.command('DELETE FROM outbox WHERE peer_id = ?')
  return { insert, sizes, fitting, upTo, remove, removeFor }
}

/** Returns a refusal as a value: a message that cannot be kept does not stand in the way of the others. */
function refusalOr<Result>(work: () => Result): Result | SpacedockError {
  try {
    return work()
  } catch (error) {
    const isRefusal =
      error instanceof SpacedockError && ['too-large', 'invalid-message', 'outbox-full'].includes(error.code)
    if (isRefusal) return error
    throw error
  }
}

function requireRoom(used: Amount, limit: Amount, bytes: number, whom: string): void {
  const full =
    used.messages + 1 > limit.messages
      ? `${used.messages} messages`
      : used.bytes + bytes > limit.bytes
        ? `${used.bytes} bytes of messages`
        : undefined
  if (full === undefined) return
  throw new SpacedockError('outbox-full', `No more can be queued: ${full} are waiting for ${whom} already.`, {
    hint: 'Wait until it has been online, or revoke it if it never will be again.',
  })
}
