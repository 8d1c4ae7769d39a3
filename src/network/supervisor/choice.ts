/** Choice of the session with one device that new work goes to. Pure. */

export interface Candidate {
  isLeaving: boolean
  isDoubtful: boolean
  isRelayed: boolean
}

/**
 * Chooses the newest, because it was opened for a reason; but one that answers before one that does not, and a direct one before
 * a relayed one. `candidates` are in the order in which they were opened. While none answers, nothing is gained by leaving
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
