import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'

/** Port of this device, and its mapping at a NAT as the peer sees it. */
export interface MappedPort {
  port: number
  /** Mapped address, such as `/ip4/203.0.113.7/tcp/23456` */
  seenAs: Multiaddr
  /** Dialled address of the peer that reported it. Ends in /p2p/PEERID. */
  seenBy: Multiaddr
}

/**
 * Finds out whether a NAT keeps ports, by the majority of the mappings seen at one address: `/ip4/203.0.113.7` -> true. The
 * address with the clearest majority comes first: a single lying peer is not to take the place of the others.
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

/** Splits an address: `/ip4/203.0.113.7/tcp/23456` -> `/ip4/203.0.113.7` and 23456 */
export function hostAndPort(address: Multiaddr): { host: string; port: number } | null {
  const [ip, tcp] = address.getComponents()
  if ((ip?.name !== 'ip4' && ip?.name !== 'ip6') || tcp?.name !== 'tcp') return null
  return { host: `/${ip.name}/${ip.value}`, port: Number(tcp.value) }
}

/** Strips the peer id: `/ip4/203.0.113.7/tcp/23456/p2p/12D3...` -> `/ip4/203.0.113.7/tcp/23456` */
export function withoutPeer(address: Multiaddr): Multiaddr | null {
  const components = address.getComponents()
  if (components.some(({ name }) => name === 'p2p-circuit')) return null
  return components.at(-1)?.name === 'p2p' ? address.decapsulateCode(CODE_P2P) : address
}
