import { CODE_IP4, CODE_IP6, CODE_P2P, CODE_TCP, multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { classOfIp, isPublicClass } from '../addresses/address-class.ts'
import type { MappedPort } from './simultaneous-open.ts'

/**
 * `/ip4/20.3.4.5/tcp/23456/tcp/23456`: how a device behind a NAT is seen from outside when it dials from that port. Nobody listens
 * there. Two devices that dial each other's such address, each from the port of its own, have one connection as soon as the
 * second one has begun. The second `tcp` keeps everybody from dialling it who does not know that. PROTOCOL.md, 'Outer addresses'.
 */
export function outerAddresses(mapped: readonly MappedPort[], port: number): Multiaddr[] {
  const kept = new Map<string, number>()
  for (const { port: own, seenAs } of mapped) {
    const [ip, tcp] = seenAs.getComponents()
    if (ip?.value === undefined || !isPublicClass(classOfIp(ip.value))) continue
    const host = `/${ip.name}/${ip.value}`
    kept.set(host, (kept.get(host) ?? 0) + (tcp?.value === String(own) ? 1 : -1))
  }
  const hosts = [...kept]
    .filter(([, votes]) => votes > 0)
    // One who tells a lie is not to take the place of those who agree.
    .sort(([, votes], [, others]) => others - votes)
    .map(([host]) => host)
  return hosts.slice(0, maxOuterAddresses).map((host) => multiaddr(`${host}/tcp/${port}/tcp/${port}`))
}

/** The plain address behind an outer one, with the peer at its end if it names one; null for any other address. */
export function behindOuterAddress(address: Multiaddr): Multiaddr | null {
  const [ip, first, second, peer, ...more] = address.getComponents()
  if (ip?.code !== CODE_IP4 && ip?.code !== CODE_IP6) return null
  if (first?.code !== CODE_TCP || second?.code !== CODE_TCP || first.value !== second.value) return null
  if (more.length > 0 || (peer !== undefined && peer.code !== CODE_P2P)) return null
  if (ip.value === undefined || !isPublicClass(classOfIp(ip.value))) return null
  const plain = `/${ip.name}/${ip.value}/tcp/${first.value}`
  return multiaddr(peer === undefined ? plain : `${plain}/p2p/${peer.value}`)
}

const maxOuterAddresses = 2
