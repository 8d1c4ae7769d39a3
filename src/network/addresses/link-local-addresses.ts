import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { isLinkLocalIpv6, type UsableInterface } from '../interfaces.ts'
import { classOfIp } from './address-class.ts'

/**
 * Link-local addresses of this host, by what it listens on: all that two machines on one cable may have. libp2p leaves them out.
 * Those of IPv6 are without a zone, which is another one at each machine: `withZones` adds it where they are dialled.
 */
export function linkLocalAddresses(
  listening: readonly Multiaddr[],
  interfaces: readonly UsableInterface[],
): Multiaddr[] {
  return listening.flatMap((address) => {
    const [ip, tcp] = address.getComponents()
    if (ip?.value === undefined || tcp?.value === undefined) return []
    const hosts = isWildcard(ip.value)
      ? interfaces.flatMap((each) => (ip.name === 'ip4' ? each.ipv4 : each.ipv6))
      : [ip.value]
    return hosts
      .map((host) => host.split('%')[0] ?? host)
      .filter((host) => classOfIp(host) === 'link-local')
      .map((host) => multiaddr(`/${ip.name}/${host}/tcp/${tcp.value}`))
  })
}

/**
 * An IPv6 link-local address with each zone of this machine, one of which it may be good in: a person who has copied it from another
 * machine cannot know. Any other address as it is.
 */
export function withZones(text: string, interfaces: () => readonly UsableInterface[]): string[] {
  const [first, second] = multiaddr(text).getComponents()
  const isZoned = first?.name === 'ip6zone'
  const ip = isZoned ? second : first
  if (ip?.name !== 'ip6' || ip.value === undefined || !isLinkLocalIpv6(ip.value)) return [text]
  const zones = interfaces()
    .filter(({ ipv6 }) => ipv6.some(isLinkLocalIpv6))
    .map(({ zone }) => zone)
  if (isZoned && zones.includes(first.value ?? '')) return [text]
  const plain = isZoned ? text.slice(`/ip6zone/${first.value}`.length) : text
  return zones.length === 0 ? [text] : zones.map((zone) => `/ip6zone/${zone}${plain}`)
}

function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::'
}
