import { BlockList, isIP } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'

/** Classes of addresses by how many can use them, the widest first. */
export const addressClasses = [
  /** IPv4: anybody. */
  'public',
  /** IPv6: reachable unless a firewall on the path drops it. */
  'global-ipv6',
  /** Relayed: reachable by anybody who can reach the relay. */
  'relayed',
  /** 100.64.0.0/10: other customers of one provider, or members of one overlay network. */
  'shared',
  /** 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16. */
  'private',
  /** fc00::/7, the private ranges of IPv6. */
  'unique-local',
  /** Link-local: one cable or one Wi-Fi; in IPv6 only together with a zone. */
  'link-local',
  /** Loopback: this computer itself. */
  'loopback',
  /** IPv4 inside IPv6: not used, since the IPv4 address says the same. */
  'embedded',
  /** Address of no device: this network, multicast, reserved ranges, a cloud's metadata service. */
  'never',
] as const

export type AddressClass = (typeof addressClasses)[number]

/** Class of a multiaddr. A name counts as public; null when the address begins with none of IPv4, IPv6 and a name. */
export function classOfAddress(address: Multiaddr): AddressClass | null {
  const components = address.getComponents().filter(({ name }) => name !== 'ip6zone')
  const host = components[0]
  if (host?.value === undefined || !hostNames.has(host.name)) return null
  const own = isIP(host.value) === 0 ? 'public' : classOfIp(host.value)
  const isRelayed = components.some(({ name }) => name === 'p2p-circuit')
  return isRelayed && own !== 'never' ? 'relayed' : own
}

/** Class of an IP address without a zone. */
export function classOfIp(ip: string): Exclude<AddressClass, 'relayed'> {
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4'
  const found = ranges.find(({ networks }) => networks[family].check(ip, family))
  return found?.class ?? (family === 'ipv6' ? 'global-ipv6' : 'public')
}

/** Whether the address means the same everywhere on the internet; what a name resolves to is checked where it is looked up. */
export function isPublicClass(kind: AddressClass | null): boolean {
  return kind === 'public' || kind === 'global-ipv6'
}

const hostNames = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'])

/** Networks by family: one list for both would match every IPv4 address as one mapped into IPv6. */
type Networks = Record<'ipv4' | 'ipv6', BlockList>

function networks(...subnets: string[]): Networks {
  const lists: Networks = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/')
    const family = network.includes(':') ? 'ipv6' : 'ipv4'
    lists[family].addSubnet(network, Number(prefix), family)
  }
  return lists
}

/** Ranges by class; the first match counts. */
const ranges = [
  {
    class: 'never',
    networks: networks(
      // this network, protocol assignments, multicast, reserved and broadcast
      '0.0.0.0/8',
      '192.0.0.0/24',
      '224.0.0.0/4',
      '240.0.0.0/4',
      '::/128',
      'ff00::/8',
      // a cloud's metadata service, which knows the computer's keys
      '169.254.169.254/32',
      '169.254.170.2/32',
      '100.100.100.200/32',
      '168.63.129.16/32',
      'fd00:ec2::/32',
    ),
  },
  { class: 'loopback', networks: networks('127.0.0.0/8', '::1/128') },
  { class: 'link-local', networks: networks('169.254.0.0/16', 'fe80::/10') },
  // mapped, compatible, NAT64, Teredo, 6to4
  {
    class: 'embedded',
    networks: networks('::ffff:0:0/96', '::/96', '64:ff9b::/96', '2001::/32', '2002::/16'),
  },
  { class: 'private', networks: networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16') },
  { class: 'shared', networks: networks('100.64.0.0/10') },
  { class: 'unique-local', networks: networks('fc00::/7') },
] as const
