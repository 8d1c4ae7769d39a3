import type { Multiaddr } from '@multiformats/multiaddr'
import { hostAndPort, portKeepingByHost, type MappedPort } from '../addresses/mapped-ports.ts'
import { maxEnds, maxPorts, type OwnEnd } from './opening-agreement.ts'

/** Dials from this port of the device; resolves with its address as the peer sees it, or null when that is not told. */
export type MappingObserver = (
  port: number,
  to: Multiaddr,
  options: { signal: AbortSignal },
) => Promise<Multiaddr | null>

export interface NatKindOptions {
  /** Returns a port of this device that nothing uses; 0 for none. */
  freshPort: () => Promise<number>
  observe: MappingObserver
  signal: AbortSignal
}

/**
 * Finds the ends at which this device can be met from outside, valid once, from the mappings that its connections show. Where a
 * NAT keeps ports, fresh ones are named: a router that has refused a packet between two ports refuses what comes after it, too.
 * Elsewhere two more connections, to two nodes if there are two, tell mappings that are endpoint-independent, sequential, or
 * unpredictable; the last have no end. Terms: RFC 4787, section 4.1.
 */
export async function ownEnds(seen: readonly MappedPort[], options: NatKindOptions): Promise<OwnEnd[]> {
  const hosts = [...portKeepingByHost(seen)]
  const keeping = hosts.filter(([, isKept]) => isKept).map(([host]) => keptEnd(host, options))
  const other = hosts.find(([, isKept]) => !isKept)?.[0]
  const here = seen.filter(({ seenAs }) => hostAndPort(seenAs)?.host === other)
  const ends = await Promise.all([...keeping.slice(0, maxEnds - 1), observedEnd(here, options)])
  return ends.filter((end) => end !== null)
}

async function keptEnd(host: string, { freshPort }: NatKindOptions): Promise<OwnEnd | null> {
  const found = await Promise.all(Array.from({ length: maxPorts }, () => freshPort()))
  const ports = [...new Set(found)].filter((port) => port > 0)
  return ports.length === 0 ? null : { end: { host, ports, kind: 'certain' }, localPorts: ports }
}

/** Observes a NAT that does not keep ports. All mappings given were seen at one address. */
async function observedEnd(
  seen: readonly MappedPort[],
  { freshPort, observe, signal }: NatKindOptions,
): Promise<OwnEnd | null> {
  const [held] = seen
  const heldAt = held === undefined ? null : hostAndPort(held.seenAs)
  if (held === undefined || heldAt === null) return null
  // Addresses have to differ, not ports: some NATs keep a mapping for all ports of one address.
  const elsewhere = seen.find(({ seenBy }) => hostAndPort(seenBy)?.host !== hostAndPort(held.seenBy)?.host)
  const to = (elsewhere ?? held).seenBy
  const [one, other] = await Promise.all([freshPort(), freshPort()])
  const observed = await Promise.all([
    observe(elsewhere === undefined ? one : held.port, to, { signal }),
    observe(other, to, { signal }),
  ])
  const [first, second] = observed.map((address) => (address === null ? null : hostAndPort(address)))
  if (first === null || first === undefined || second === null || second === undefined) return null
  if (first.host !== heldAt.host || second.host !== heldAt.host) return null
  const mapped = { host: heldAt.host, ports: [heldAt.port] }
  if (elsewhere !== undefined && first.port === heldAt.port)
    return { end: { ...mapped, kind: 'certain' }, localPorts: [held.port] }
  const next = nextPorts(first.port, second.port)
  if (next.length > 0)
    return { end: { host: heldAt.host, ports: next, kind: 'counted' }, localPorts: [await freshPort()] }
  // A single node cannot tell a mapping per local port from one per connection.
  return elsewhere === undefined ? { end: { ...mapped, kind: 'unproven' }, localPorts: [held.port] } : null
}

/** Predicts the next ports after two simultaneous connections; none when their ports are not close to each other. */
function nextPorts(first: number, second: number): number[] {
  if (first === second || Math.abs(first - second) > maxStep) return []
  const last = Math.max(first, second)
  const next = Array.from({ length: maxCounted }, (_, index) => last + 1 + index)
  return next.filter((port) => port <= 65_535)
}

/** Largest gap between the two: others at home make connections, too. */
const maxStep = 4
const maxCounted = 4
