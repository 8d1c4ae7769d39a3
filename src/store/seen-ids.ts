import * as v from 'valibot'
import type { Database } from './database.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/**
 * The ids of messages that arrived, by their sender. They are kept by number and never by age: a sender sends in order and
 * waits for the receipt of what it sent together, so whatever it repeats, after however long a time, is among the last
 * few hundred of its messages.
 */
export interface SeenIds {
  /** Returns the sequence in the inbox that the message got, if it was seen. */
  sequenceOf(peerId: PeerId, id: string): number | undefined
  add(peerId: PeerId, id: string, sequence: number): void
}

/** Seen ids per sender, so that one device cannot make us forget what another has sent. */
export function seenIds(database: Database, perDevice: number): SeenIds {
  const select = database.query(
    'SELECT sequence FROM seen WHERE peer_id = ? AND id = ?',
    v.object({ sequence: v.number() }),
  )
  const insert = database.command('INSERT INTO seen (peer_id, id, sequence) VALUES (?, ?, ?)')
  const countFor = database.query(
    'SELECT COUNT(*) AS count FROM seen WHERE peer_id = ?',
    v.object({ count: v.number() }),
  )
  const prune = database.command(
    `DELETE FROM seen WHERE peer_id = ? AND sequence <= (
      SELECT sequence FROM seen WHERE peer_id = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
  )
  // Counting and pruning walk the sender's rows, so they are done once in a while.
  const interval = Math.max(1, Math.floor(perDevice / 100))
  const untilCheck = new Map<string, number>()

  return {
    sequenceOf: (peerId, id) => select.get(peerId, id)?.sequence,
    add(peerId, id, sequence) {
      insert.run(peerId, id, sequence)
      const left = (untilCheck.get(peerId) ?? 1) - 1
      untilCheck.set(peerId, left > 0 ? left : interval)
      if (left > 0) return
      const count = countFor.get(peerId)?.count ?? 0
      if (count > perDevice) prune.run(peerId, peerId, perDevice)
    },
  }
}
