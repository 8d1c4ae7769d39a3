/** Which of the sessions with one device new work goes to. Pure. */

export interface Candidate {
  isLeaving: boolean
  isDoubtful: boolean
  isRelayed: boolean
}

/**
 * The newest, because whoever opened it had a reason; but one that answers before one that does not, and a direct one before a
 * relayed one. `candidates` are in the order in which they were opened. While none answers there is nothing to be gained by leaving
 * `current`.
 */
export function choose<Each extends Candidate>(
  candidates: readonly Each[],
  current: Each | undefined,
): Each | undefined {
  const open = candidates.filter(({ isLeaving }) => !isLeaving)
  const answering = open.filter(({ isDoubtful }) => !isDoubtful)
  if (answering.length === 0 && current !== undefined && open.includes(current)) return current
  const usable = answering.length > 0 ? answering : open
  return usable.findLast(({ isRelayed }) => !isRelayed) ?? usable.at(-1)
}
