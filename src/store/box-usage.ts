import * as v from 'valibot'
import type { Database } from './database.ts'
import type { Amount } from './stored-message.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdColumn } from './columns.ts'

/**
 * Amount that a box holds, in all and of each device, counted as it changes: the table is read only the first time, and after
 * `forget`.
 */
export interface BoxUsage {
  of(peerId: PeerId): Amount
  inAll(): Amount
  /** Device of which the box holds most messages; undefined when it is empty. */
  largest(): PeerId | undefined
  change(peerId: PeerId, by: Amount): void
  /** Forgets the amount, after a change that is not known, or was rolled back. */
  forget(): void
}

export function boxUsage(database: Database, box: 'inbox' | 'outbox'): BoxUsage {
  const select = database.query(
    `SELECT peer_id, COUNT(*) AS messages, SUM(length(body)) AS bytes FROM ${box} GROUP BY peer_id`,
    v.object({ peer_id: peerIdColumn, messages: v.number(), bytes: v.number() }),
  )
  let known: { inAll: Amount; perPeer: Map<PeerId, Amount> } | undefined

  function usage(): { inAll: Amount; perPeer: Map<PeerId, Amount> } {
    if (known !== undefined) return known
    const perPeer = new Map(
      select.all().map(({ peer_id, messages, bytes }) => [peer_id, { messages, bytes }]),
    )
    return (known = { inAll: [...perPeer.values()].reduce(sum, nothing), perPeer })
  }

  const of = (peerId: PeerId): Amount => usage().perPeer.get(peerId) ?? nothing
  return {
    of,
    inAll: () => usage().inAll,
    largest: () =>
      [...usage().perPeer].toSorted(([, one], [, other]) => other.messages - one.messages)[0]?.[0],
    change(peerId, by) {
      // An amount not known yet is read when it is needed, with this change in it.
      if (known === undefined) return
      const { inAll, perPeer } = known
      const amount = sum(of(peerId), by)
      if (amount.messages === 0) perPeer.delete(peerId)
      else perPeer.set(peerId, amount)
      known = { inAll: sum(inAll, by), perPeer }
    },
    forget: () => (known = undefined),
  }
}

const nothing: Amount = { messages: 0, bytes: 0 }

function sum(one: Amount, other: Amount): Amount {
  return { messages: one.messages + other.messages, bytes: one.bytes + other.bytes }
}
