/** Obstacle that ended one dial to one address. */
export type DialObstacle =
  /** this device has no way there */
  | 'no-route'
  /** a host on the way, or the other one, says that nobody gets there */
  | 'unreachable'
  | 'refused'
  /** it was accepted and cut off before anything was said */
  | 'reset'
  /** somebody else answered */
  | 'stranger'
  /** nothing came back */
  | 'silence'

export function dialObstacle(error: unknown): DialObstacle {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = 'code' in each ? each.code : undefined
    if (code === 'ECONNREFUSED') return 'refused'
    if (code === 'ECONNRESET') return 'reset'
    if (code === 'EHOSTUNREACH') return 'unreachable'
    if (noRoute.has(code)) return 'no-route'
    // libp2p keeps no more than the message of Noise's UnexpectedPeerError.
    if (each.message.includes('does not match expected remote identity')) return 'stranger'
  }
  return 'silence'
}

/** Errors of a device without a route there. (EHOSTUNREACH is the network's word about the other one.) */
const noRoute: ReadonlySet<unknown> = new Set(['ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])
