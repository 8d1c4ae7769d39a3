import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import * as v from 'valibot'
import { isNeverDialled } from '../addresses/address-filter.ts'

/** Agreement of two devices before a simultaneous open. PROTOCOL.md, 'Direct through NATs'. */

/** End at which a device can be met from outside. */
export type End = v.InferOutput<typeof endSchema>

/** End of this device, and the local ports behind it. */
export interface OwnEnd {
  end: End
  /** Local port for each of the end's ports; of a `counted` end, the one from which its dials go out. */
  localPorts: readonly number[]
}

export interface Agreement {
  own: OwnEnd
  theirs: End
}

/** Dial from a port of this device to an address such as `/ip4/203.0.113.7/tcp/23456`. */
export interface PortPair {
  port: number
  address: string
}

/** Limit of an end's ports, and of the addresses that a device dials for one agreement. */
export const maxPorts = 8
export const maxEnds = 4

const endSchema = v.object({
  /** Multiaddr of the IP address, such as `/ip4/203.0.113.7` */
  host: v.pipe(v.string(), v.maxLength(100)),
  ports: v.pipe(
    v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
    v.minLength(1),
    v.maxLength(maxPorts),
  ),
  /**
   * Kind of the ports. `certain`: these are the ports. `counted`: the NAT gives each new connection the next one, and these are
   * next. `unproven`: seen so by one other, and perhaps by nobody else. `unknown`: any kind of a later version.
   */
  kind: v.fallback(v.picklist(['certain', 'counted', 'unproven', 'unknown']), 'unknown'),
})

export const questionSchema = v.union([
  v.object({ ends: v.pipe(v.array(endSchema), v.maxLength(maxEnds)) }),
  v.object({ ready: v.literal(true) }),
  v.object({ go: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxPorts)) }),
])

export type Answer = v.InferOutput<typeof answerSchema>

export const answerSchema = v.object({
  /** Index of the asker's end that will be dialled. */
  yours: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(maxEnds - 1))),
  mine: v.nullable(endSchema),
})

/** IP version of an end at which a device can be met; null for any other. */
function familyOf({ host, ports, kind }: End): 'ip4' | 'ip6' | null {
  if (kind === 'unknown') return null
  let addresses: Multiaddr[]
  try {
    addresses = ports.map((port) => multiaddr(`${host}/tcp/${port}`))
  } catch {
    return null
  }
  const [ip, , ...more] = addresses[0]?.getComponents() ?? []
  if ((ip?.name !== 'ip4' && ip?.name !== 'ip6') || more.length > 0) return null
  return addresses.some(isNeverDialled) ? null : ip.name
}

/** Returns the first pair of ends that fit each other, with the index of theirs; null when none do. */
export function agree(
  own: readonly OwnEnd[],
  theirs: readonly End[],
): (Agreement & { yours: number }) | null {
  for (const one of own) {
    const family = familyOf(one.end)
    const yours = theirs.findIndex((end) => family !== null && familyOf(end) === family)
    const end = theirs[yours]
    if (end !== undefined) return { own: one, theirs: end, yours }
  }
  return null
}

/**
 * Returns the dials of one side. Certain ports meet in pairs, in the order of the lists. A device whose NAT counts dials once for
 * each port of the other's, so that the first of its dials gets the first number; the other one tries all the numbers that it may
 * get.
 */
export function pairsOf({ own, theirs }: Agreement, most: number): PortPair[] {
  const [from] = own.localPorts
  if (from === undefined) return []
  const to = (port: number | undefined): string => `${theirs.host}/tcp/${port}`
  const fromOne = (ports: readonly number[]): PortPair[] =>
    ports.map((port) => ({ port: from, address: to(port) }))
  if (theirs.kind === 'counted') return fromOne(theirs.ports)
  if (own.end.kind === 'counted') return fromOne(theirs.ports.slice(0, 1))
  const both = own.localPorts.slice(0, Math.min(most, theirs.ports.length))
  return both.map((port, index) => ({ port, address: to(theirs.ports[index]) }))
}
