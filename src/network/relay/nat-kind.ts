import type { Multiaddr } from '@multiformats/multiaddr'
import { hostAndPort, portKeepingByHost, type MappedPort } from './mapped-ports.ts'
import { maxEnds, maxPorts, type OwnEnd } from './opening-agreement.ts'

/** Dials from this port of the device, and tells how it is seen where that leads to; null when that is not told. */
export type Probe = (
  port: number,
  to: Multiaddr,
  options: { signal: AbortSignal },
) => Promise<Multiaddr | null>

export interface NatKindOptions {
  /** A port of this device that nothing uses; 0 for none. */
  freshPort: () => Promise<number>
  probe: Probe
  signal: AbortSignal
}

/**
 * How this device can be met from outside, once, by what its connections show of the NATs on the way. Where ports are kept, fresh ones
 * are named: a router that has refused a packet between two ports refuses what comes after it, too. Elsewhere two more connections
 * tell more, to two nodes if there are two: a NAT that gives one port the same number everywhere, one that counts, or one of
 * whose next number nothing can be said, and then there is no end. Terms: RFC 4787, section 4.1.
 */
export async function ownEnds(seen: readonly MappedPort[], options: NatKindOptions): Promise<OwnEnd[]> {
  const hosts = [...portKeepingByHost(seen)]
  const keeping = hosts.filter(([, isKept]) => isKept).map(([host]) => keptEnd(host, options))
  const other = hosts.find(([, isKept]) => !isKept)?.[0]
  const here = seen.filter(({ seenAs }) => hostAndPort(seenAs)?.host === other)
  const ends = await Promise.all([...keeping.slice(0, maxEnds - 1), probedEnd(here, options)])
  return ends.filter((end) => end !== null)
}

async function keptEnd(host: string, { freshPort }: NatKindOptions): Promise<OwnEnd | null> {
  const found = await Promise.all(Array.from({ length: maxPorts }, () => freshPort()))
  const ports = [...new Set(found)].filter((port) => port > 0)
  return ports.length === 0 ? null : { end: { host, ports, kind: 'certain' }, localPorts: ports }
}

/** At a NAT that does not keep ports. All that is given was seen at one address. */
async function probedEnd(
  seen: readonly MappedPort[],
  { freshPort, probe, signal }: NatKindOptions,
): Promise<OwnEnd | null> {
  const [held] = seen
  const heldAt = held === undefined ? null : hostAndPort(held.seenAs)
  if (held === undefined || heldAt === null) return null
  // Addresses, not ports: some NATs give one port the same number for all ports of one address.
  const elsewhere = seen.find(({ seenBy }) => hostAndPort(seenBy)?.host !== hostAndPort(held.seenBy)?.host)
  const to = (elsewhere ?? held).seenBy
  const [one, other] = await Promise.all([freshPort(), freshPort()])
  const probed = await Promise.all([
    probe(elsewhere === undefined ? one : held.port, to, { signal }),
    probe(other, to, { signal }),
  ])
  const [first, second] = probed.map((address) => (address === null ? null : hostAndPort(address)))
  if (first === null || first === undefined || second === null || second === undefined) return null
  if (first.host !== heldAt.host || second.host !== heldAt.host) return null
  const mapped = { host: heldAt.host, ports: [heldAt.port] }
  if (elsewhere !== undefined && first.port === heldAt.port)
    return { end: { ...mapped, kind: 'certain' }, localPorts: [held.port] }
  const next = nextPorts(first.port, second.port)
  if (next.length > 0)
    return { end: { host: heldAt.host, ports: next, kind: 'counted' }, localPorts: [await freshPort()] }
  // With a single node nobody can tell one that gives every port a number of its own from one that does so for every connection.
  return elsewhere === undefined ? { end: { ...mapped, kind: 'unproven' }, localPorts: [held.port] } : null
}

/** After two connections that were made at the same time; none when these numbers are no neighbours. */
function nextPorts(first: number, second: number): number[] {
  if (first === second || Math.abs(first - second) > maxStep) return []
  const last = Math.max(first, second)
  const next = Array.from({ length: maxCounted }, (_, index) => last + 1 + index)
  return next.filter((port) => port <= 65_535)
}

/** Others at home make connections, too. */
const maxStep = 4
const maxCounted = 4
