import { CODE_IP4, CODE_IP6, CODE_P2P, CODE_TCP, multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { classOfIp, isPublicClass } from './address-class.ts'
import { portKeepingByHost, type MappedPort } from './mapped-ports.ts'

/**
 * Returns addresses such as `/ip4/20.3.4.5/tcp/23456/tcp/23456`: those of a device behind a NAT as seen from outside when it
 * dials from that port. Nobody listens there. Two devices that dial each other's outer address, each from the port of its own,
 * have one connection as soon as the second one has begun. The second `tcp` keeps programs that do not know this from dialling
 * it. PROTOCOL.md, 'Outer addresses'.
 */
export function outerAddresses(
  mapped: readonly Pick<MappedPort, 'port' | 'seenAs'>[],
  port: number,
): Multiaddr[] {
  const hosts = [...portKeepingByHost(mapped)]
    .filter(([, isKept]) => isKept)
    .map(([host]) => host)
    .filter((host) => isPublicClass(classOfIp(host.split('/').at(-1) ?? '')))
  return hosts.slice(0, maxOuterAddresses).map((host) => multiaddr(`${host}/tcp/${port}/tcp/${port}`))
}

/** Returns the plain address behind an outer one, with the peer at its end if it names one; null for any other address. */
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
