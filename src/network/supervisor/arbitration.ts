/** Which of two sessions with one device stays. Pure. */

export interface Contender {
  opener: 'local' | 'remote'
  /** The start of the other device that the session belongs to. */
  remoteInstance: string
}

/**
 * Both sides must come to the same answer without talking. A restarted peer has forgotten the older session. A second
 * session by the same opener means that it gave up the first. When both opened one, the smaller peer id's stays; the other
 * side's is turned away only after a probe has shown that the one that stays is alive.
 */
export function arbitrate(
  current: Contender,
  newcomer: Contender,
  localIsSmaller: boolean,
): 'replace' | 'probe-current' {
  if (current.remoteInstance !== newcomer.remoteInstance) return 'replace'
  if (current.opener === newcomer.opener) return 'replace'
  const winner = localIsSmaller ? 'local' : 'remote'
  return newcomer.opener === winner ? 'replace' : 'probe-current'
}
