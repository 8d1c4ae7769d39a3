import type { Connection } from '@libp2p/interface'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import type { OwnPorts } from './own-port.ts'

/** A port of this device, and under which address and port the other side of its NAT sees it. */
export interface MappedPort {
  port: number
  /** `/ip4/203.0.113.7/tcp/23456` */
  seenAs: Multiaddr
  /** Where it was dialled to, and who has told. Ends in /p2p/PEERID. */
  seenBy: Multiaddr
}

/** Connections that this device has dialled show what NATs make of its ports: whoever is at the other end has told. */
export function mappedPortsOf(
  dialled: readonly { connection: Connection; observed: Multiaddr | undefined }[],
  ownPorts: OwnPorts,
): MappedPort[] {
  return dialled.flatMap(({ connection, observed }) => {
    const port = ownPorts.portOf(connection)
    const seenAs = observed === undefined ? null : withoutPeer(observed)
    return port === undefined || seenAs === null ? [] : [{ port, seenAs, seenBy: connection.remoteAddr }]
  })
}

/**
 * Whether a NAT keeps the ports, as most of those show that were seen at one address: `/ip4/203.0.113.7` -> true. What most agree
 * upon comes first: one who tells a lie is not to take the place of the others.
 */
export function portKeepingByHost(
  mapped: readonly Pick<MappedPort, 'port' | 'seenAs'>[],
): Map<string, boolean> {
  const votes = new Map<string, number>()
  for (const { port: own, seenAs } of mapped) {
    const seen = hostAndPort(seenAs)
    if (seen !== null) votes.set(seen.host, (votes.get(seen.host) ?? 0) + (seen.port === own ? 1 : -1))
  }
  const sorted = [...votes].sort(([, count], [, other]) => Math.abs(other) - Math.abs(count))
  return new Map(sorted.map(([host, count]) => [host, count > 0]))
}

/** `/ip4/203.0.113.7/tcp/23456` -> `/ip4/203.0.113.7` and 23456 */
export function hostAndPort(address: Multiaddr): { host: string; port: number } | null {
  const [ip, tcp] = address.getComponents()
  if ((ip?.name !== 'ip4' && ip?.name !== 'ip6') || tcp?.name !== 'tcp') return null
  return { host: `/${ip.name}/${ip.value}`, port: Number(tcp.value) }
}

/** `/ip4/203.0.113.7/tcp/23456/p2p/12D3...` -> `/ip4/203.0.113.7/tcp/23456` */
export function withoutPeer(address: Multiaddr): Multiaddr | null {
  const components = address.getComponents()
  if (components.some(({ name }) => name === 'p2p-circuit')) return null
  return components.at(-1)?.name === 'p2p' ? address.decapsulateCode(CODE_P2P) : address
}
