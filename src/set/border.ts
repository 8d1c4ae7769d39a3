import type { PeerId } from '../pairing/peer-id.ts'
import type { SetRecord } from './record.ts'
import { identitiesIn, isRemoval, type Statement, type StatementId } from './statement.ts'

/**
 * What is taken from a peer, and what it is handed: the same graph gives everybody the same view, and these two rules see to it that
 * members come to have the same graph. Decision 48 says why.
 */

export interface Taken {
  /** `all`: the peer is a member. `removals`: no longer, but it said why. `nothing`: it is none. */
  taken: 'all' | 'removals' | 'nothing'
  /** The record with what was taken. The one that was given is as it was. */
  record: SetRecord
}

/**
 * Rule (i): takes statements from a peer that is a member by both records together. From one that is so only by one's own, it takes
 * removals with all that they follow: with them it said that one of the two is out.
 */
export function take(mine: SetRecord, me: PeerId, peer: PeerId, offered: readonly Statement[]): Taken {
  const both = mine.copy()
  both.admitAll(offered)
  if (both.view().members(me).has(peer)) return { taken: 'all', record: both }
  if (!mine.view().members(me).has(peer)) return { taken: 'nothing', record: mine }
  const ids = new Set(offered.map(({ id }) => id))
  const proofs = proofsOfRemoval(both, new Set(offered.flatMap(identitiesIn)))
  const record = mine.copy()
  record.admitAll(both.closure(proofs.filter((id) => ids.has(id))))
  return { taken: 'removals', record }
}

/**
 * Rule (ii): returns what a peer that is no member is handed before it is refused, each statement after those it follows. A removed
 * one is handed what removed it; a suspended one what removed devices that its own record names.
 *
 * @param theirs statements that the peer is known to hold
 */
export function handOver(mine: SetRecord, peer: PeerId, theirs: readonly Statement[]): Statement[] {
  const view = mine.view()
  const named = new Set(view.isRemoved(peer) ? [peer] : theirs.flatMap(identitiesIn))
  return mine.closure(proofsOfRemoval(mine, named))
}

/** Statements by which some of these devices are out: removals, and those that share a number. */
function proofsOfRemoval(record: SetRecord, named: ReadonlySet<PeerId>): StatementId[] {
  const view = record.view()
  const isFork = ({ signers }: Statement): boolean =>
    signers.some(({ peer, number }) => named.has(peer) && view.forkOf(peer) === number)
  return record
    .statements()
    .filter((statement) => (isRemoval(statement) && named.has(statement.target)) || isFork(statement))
    .map(({ id }) => id)
}
