import { BlockList, isIP } from 'node:net'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { parseVeiledAddress } from '../public/veiled-address.ts'

export interface AddressFilterOptions {
  /** Base58btc: whose addresses these are said to be. */
  peer: string
  /** Only for a host that itself uses no other interface. */
  allowLoopback: boolean
  /** More are left out, the last first. @default 12 */
  limit?: number
}

/**
 * Of addresses that came from a DHT, or go into one, those that somebody elsewhere can use: `/ip4` or `/ip6` with `/tcp`, direct
 * or through a relay. Addresses of private networks are among them, because the two devices may share one. The result names no
 * peer at its end; whoever answers there has to prove to be `peer`.
 */
export function filterAddresses(
  addresses: readonly string[],
  { peer, allowLoopback, limit = 12 }: AddressFilterOptions,
): string[] {
  const kept = new Set<string>()
  for (const text of addresses) {
    if (kept.size === limit) break
    const address = parse(text)
    if (address === null || !isUsable(address, peer, allowLoopback)) continue
    kept.add(withoutPeer(address, peer))
  }
  return [...kept]
}

/** The own addresses that are worth telling, best first: those that anybody can reach, relayed ones, those of private networks. */
export function addressesToPublish(addresses: readonly string[], options: AddressFilterOptions): string[] {
  const all = filterAddresses(addresses, { ...options, limit: addresses.length })
  return all.sort((left, right) => reach(left) - reach(right)).slice(0, options.limit ?? 12)
}

function reach(text: string): number {
  const [host] = multiaddr(text).getComponents()
  if (text.includes('/p2p-circuit')) return 1
  return host?.value !== undefined && isIn(privateNetworks, host.value) ? 2 : 0
}

/** Whether the address is a name, or one that is the same everywhere on the internet. */
export function isPublic(text: string): boolean {
  const host = parse(text)?.getComponents()[0]?.value
  if (host === undefined) return false
  return isIP(host) === 0 || ![privateNetworks, loopback, linkLocal, never].some((list) => isIn(list, host))
}

/** Whether nobody's device is there, whatever the circumstances: the machine's cloud, everybody, nobody. */
export function isNeverDialled(address: Multiaddr): boolean {
  const [host] = address.getComponents()
  return host?.value !== undefined && isIP(host.value) > 0 && isIn(never, host.value)
}

function isUsable(address: Multiaddr, peer: string, allowLoopback: boolean): boolean {
  const components = address.getComponents()
  const form = components.map(({ name }) => name).join('/')
  const [host, port] = components
  if (host?.value === undefined || port?.value === '0') return false
  const isVeiled = parseVeiledAddress(address) !== null
  const isRelayed = isVeiled || /^(?:ip4|ip6|dns|dns4|dns6)\/tcp\/p2p\/p2p-circuit(?:\/p2p)?$/u.test(form)
  if (!isRelayed && !/^ip[46]\/tcp(?:\/p2p)?$/u.test(form)) return false
  const last = components.at(-1)
  if (last?.name === 'p2p' && last.value !== peer) return false
  // Through the peer itself leads no way to it.
  if (isRelayed && components[2]?.value === peer) return false
  if (isIP(host.value) === 0) return isPublicName(host.value)
  if (isIn(loopback, host.value)) return allowLoopback
  return ![never, linkLocal, embedded].some((list) => isIn(list, host.value ?? ''))
}

/** A relay may have a name, but none that means the reader's own machine or network. */
function isPublicName(name: string): boolean {
  return (
    /^(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}$/iu.test(name) &&
    !/\.(?:local|localhost|internal|lan|home|arpa)$/iu.test(name)
  )
}

function withoutPeer(address: Multiaddr, peer: string): string {
  const text = address.toString()
  const suffix = `/p2p/${peer}`
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : text
}

function parse(text: string): Multiaddr | null {
  try {
    return text.length > 512 ? null : multiaddr(text)
  } catch {
    return null
  }
}

/** By family: a list for both would take every IPv4 address for one that is mapped into IPv6. */
type Networks = Record<'ipv4' | 'ipv6', BlockList>

function isIn(networks: Networks, ip: string): boolean {
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4'
  return networks[family].check(ip, family)
}

function networks(...subnets: string[]): Networks {
  const lists: Networks = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/')
    const family = network.includes(':') ? 'ipv6' : 'ipv4'
    lists[family].addSubnet(network, Number(prefix), family)
  }
  return lists
}

const privateNetworks = networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7')
const loopback = networks('127.0.0.0/8', '::1/128')
const linkLocal = networks('169.254.0.0/16', 'fe80::/10')
/** IPv4 inside IPv6: mapped, compatible, NAT64, Teredo, 6to4. What is meant can be said in IPv4. */
const embedded = networks('::ffff:0:0/96', '::/96', '64:ff9b::/96', '2001::/32', '2002::/16')
const never = networks(
  // this network, protocol assignments, multicast, reserved and broadcast
  '0.0.0.0/8',
  '192.0.0.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'ff00::/8',
  // what a virtual machine learns about itself, and its cloud's keys
  '169.254.169.254/32',
  '169.254.170.2/32',
  '100.100.100.200/32',
  '168.63.129.16/32',
  'fd00:ec2::/32',
)
