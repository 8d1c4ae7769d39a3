import * as v from 'valibot'
import type { Database } from './database.ts'
import { epochMilliseconds, peerIdColumn } from './columns.ts'
import { latestMs, type PersistentClock } from './persistent-clock.ts'
import { messageRowSchema, type StoredMessage } from './stored-message.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface WaitingMessage extends StoredMessage {
  /** End of its time by this device's wall clock as it is now; null: never. */
  expiresAtMs: number | null
}

export interface DueMessage {
  sequence: number
  id: string
  peerId: PeerId
}

/** Expiry of the outbox's messages. The times in the tables are the lasting clock's. */
export interface OutboxExpiry {
  /** Returns the time to write down for a message that enters `nowMs`; null: never. */
  timeAfter(nowMs: number, expiresInMs: number | null): number | null
  waiting(): WaitingMessage[]
  until(): number | null
  /** Messages whose time is over, the one that has been over for longest first; a thousand at most. */
  due(): DueMessage[]
  /** Keeps a copy for `expired`. */
  record(sequence: number): void
  forgetOld(): void
  expired(): WaitingMessage[]
  dropFor(peerId: PeerId): void
}

export function outboxExpiry(database: Database, clock: PersistentClock): OutboxExpiry {
  const selectWaiting = database.query(
    'SELECT *, expires_at_ms AS time_ms FROM outbox ORDER BY sequence',
    timedRowSchema,
  )
  const selectExpired = database.query(
    'SELECT *, expired_at_ms AS time_ms FROM expired ORDER BY sequence',
    timedRowSchema,
  )
  const selectFirst = database.query(
    'SELECT MIN(expires_at_ms) AS first_ms FROM outbox',
    v.object({ first_ms: v.nullable(epochMilliseconds) }),
  )
  const selectDue = database.query(
    'SELECT sequence, id, peer_id FROM outbox WHERE expires_at_ms <= ? ORDER BY expires_at_ms, sequence LIMIT 1000',
    dueRowSchema,
  )
  const copy = database.command(
    `INSERT INTO expired SELECT sequence, id, peer_id, kind, body, at_ms, ? FROM outbox WHERE sequence = ?`,
  )
  const forget = database.command(
    `DELETE FROM expired WHERE expired_at_ms < ?
      OR sequence NOT IN (SELECT sequence FROM expired ORDER BY expired_at_ms DESC, sequence DESC LIMIT ?)`,
  )
  const deleteFor = database.command('DELETE FROM expired WHERE peer_id = ?')
  const atWallTime = ({ timeMs, ...message }: StoredMessage & { timeMs: number | null }): WaitingMessage => ({
    ...message,
    expiresAtMs: timeMs === null ? null : clock.wallAt(timeMs),
  })

  return {
    timeAfter(nowMs, expiresInMs) {
      if (expiresInMs === null) return null
      const atMs = nowMs + Math.ceil(expiresInMs)
      return atMs < latestMs ? atMs : null
    },
    waiting: () => selectWaiting.all().map(atWallTime),
    until() {
      const firstMs = selectFirst.get()?.first_ms ?? null
      return firstMs === null ? null : Math.max(0, firstMs - clock.now())
    },
    due: () => selectDue.all(clock.now()),
    record: (sequence) => void copy.run(clock.now(), sequence),
    forgetOld: () => void forget.run(clock.now() - keptExpiredMs, keptExpired),
    expired: () => selectExpired.all().map(atWallTime),
    dropFor: (peerId) => void deleteFor.run(peerId),
  }
}

const keptExpired = 100
const keptExpiredMs = 30 * 24 * 3_600_000

const dueRowSchema = v.pipe(
  v.object({ sequence: v.number(), id: v.string(), peer_id: peerIdColumn }),
  v.transform(({ sequence, id, peer_id: peerId }): DueMessage => ({ sequence, id, peerId })),
)
/** `time_ms` is the column's name in both selections. */
const timedRowSchema = v.intersect([
  messageRowSchema,
  v.pipe(
    v.object({ time_ms: v.nullable(epochMilliseconds) }),
    v.transform(({ time_ms: timeMs }) => ({ timeMs })),
  ),
])
