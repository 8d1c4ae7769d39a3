import { readdirSync } from 'node:fs'
import { BlockList } from 'node:net'
import { networkInterfaces, platform } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'

/** A network interface that is up, with what is needed to listen on it, to multicast through it and to rank it. */
export interface UsableInterface {
  name: string
  ipv4: string[]
  /** IPv6 addresses; link-local ones carry their zone: `fe80::1%eth0` (`%7` on Windows). */
  ipv6: string[]
  /** Addresses in CIDR notation, without zones: the networks on link. */
  subnets: string[]
  /**
   * Networks that are on link elsewhere, for an interface whose own addresses tell of no network (/32, as in many clouds and VPNs).
   * Not there for any other.
   */
  elsewhere?: string[]
  /** Zone as behind the `%` of its link-local addresses, and in `/ip6zone/`: the name, on Windows the index. */
  zone: string
  loopback: boolean
  /** Whether the interface belongs to a VPN, a container network or a virtual machine, judged by its name. */
  virtual: boolean
}

export type ListInterfaces = () => NodeJS.Dict<NetworkInterfaceInfo[]>

export interface InterfaceOptions {
  /**
   * Names of the interfaces to use, as far as they exist. Default: all but loopback, and loopback only when there is no other.
   */
  names?: string[] | undefined
}

export interface WatchOptions extends InterfaceOptions {
  /** Polling interval. @default 3_000 */
  intervalMs?: number | undefined
  list?: ListInterfaces | undefined
}

/** Lists the interfaces to use, physical ones first; one without a carrier or an address is not among them. */
export function usableInterfaces(
  options: InterfaceOptions = {},
  list: ListInterfaces = systemInterfaces,
): UsableInterface[] {
  const { names } = options
  const described = Object.entries(list()).flatMap(([name, infos]) => describe(name, infos ?? []))
  const all = described.map((each) => withoutNetwork(each, described))
  const others = all.filter((candidate) => !candidate.loopback)
  const unnamed = others.length > 0 ? others : all
  const chosen = names === undefined ? unnamed : all.filter(({ name }) => names.includes(name))
  return chosen.sort((left, right) => rank(left) - rank(right))
}

/** Names of all interfaces of this system; where it does not tell of others, of those that are up. */
export function interfaceNames(list: ListInterfaces = systemInterfaces): string[] {
  return [...new Set([...Object.keys(list()), ...linuxInterfaces()])]
}

let lastKnown: ReturnType<ListInterfaces> | undefined

/** Interfaces of this system; those of the last time when it cannot tell, for instance because no more files can be opened. */
function systemInterfaces(): ReturnType<ListInterfaces> {
  try {
    lastKnown = networkInterfaces()
  } catch (error) {
    if (lastKnown === undefined) throw error
  }
  return lastKnown
}

/** Names from sysfs(5), class/net, which also lists interfaces that are down or have no address; Node does not. */
function linuxInterfaces(): string[] {
  try {
    return readdirSync('/sys/class/net')
  } catch {
    return []
  }
}

/**
 * Calls back with the new list whenever an interface comes, goes, or changes its addresses. No system offers Node such
 * events, so it polls, which costs about 0.1 ms each time. Does not keep the process alive. Returns what stops it.
 */
export function watchInterfaces(
  onChange: (interfaces: UsableInterface[]) => void,
  options: WatchOptions = {},
): () => void {
  const { names, intervalMs = 3_000, list } = options
  let seen = JSON.stringify(usableInterfaces({ names }, list))
  const timer = setInterval(() => {
    const interfaces = lookAgain({ names }, list)
    if (interfaces === null) return
    const now = JSON.stringify(interfaces)
    if (now === seen) return
    seen = now
    onChange(interfaces)
  }, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Lists the interfaces; null when the system refuses, for instance because no more files can be opened: the next poll will tell.
 */
function lookAgain(options: InterfaceOptions, list: ListInterfaces | undefined): UsableInterface[] | null {
  try {
    return usableInterfaces(options, list)
  } catch {
    return null
  }
}

export function isLinkLocalIpv6(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address)
}

/** Names of tunnels, container and VM bridges, VPN clients, Apple's peer-to-peer Wi-Fi. */
const virtualNames =
  /^(tun|tap|utun|wg|ppp|ipsec|gif|stf|docker|podman|br-|bridge|veth|virbr|vnet|vmnet|vboxnet|vEthernet|cni|cali|flannel|lxc|lxd|incus|tailscale|zt|nordlynx|proton|awdl|llw)/i

function describe(name: string, infos: NetworkInterfaceInfo[]): UsableInterface[] {
  const [first] = infos
  if (first === undefined) return []
  const scoped = infos.find((info) => info.family === 'IPv6' && isLinkLocalIpv6(info.address))
  const zone = platform() === 'win32' ? String((scoped?.family === 'IPv6' && scoped.scopeid) || 0) : name
  const ipv6 = infos.filter(({ family }) => family === 'IPv6').map(({ address }) => address)
  return [
    {
      name,
      ipv4: infos.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
      ipv6: ipv6.map((address) => (isLinkLocalIpv6(address) ? `${address}%${zone}` : address)),
      subnets: infos.flatMap(({ cidr }) => cidr ?? []),
      zone,
      loopback: first.internal,
      virtual: virtualNames.test(name),
    },
  ]
}

/** Gives an interface without an IPv4 network the networks of the others: what is in none of them may be on its link. */
function withoutNetwork(link: UsableInterface, all: readonly UsableInterface[]): UsableInterface {
  if (link.loopback || link.ipv4.length === 0 || link.subnets.some(isIpv4Network)) return link
  return { ...link, elsewhere: all.filter((each) => each !== link).flatMap(({ subnets }) => subnets) }
}

function isIpv4Network(subnet: string): boolean {
  return familyOf(subnet) === 'ipv4' && !subnet.endsWith('/32')
}

function rank({ loopback, virtual }: UsableInterface): number {
  if (loopback) return 2
  return virtual ? 1 : 0
}

/** The networks that one interface is part of. */
export interface OnLink {
  includes(address: string): boolean
}

export function onLink({ subnets, elsewhere, zone }: UsableInterface): OnLink {
  const here = networksOf(subnets)
  const there = elsewhere === undefined ? null : networksOf(elsewhere)
  return {
    includes: (address) => {
      const [host = '', hostZone] = address.split('%')
      if (hostZone !== undefined) return hostZone === zone
      const family = familyOf(host)
      if (here[family].check(host, family)) return true
      return family === 'ipv4' && there !== null && !there.ipv4.check(host, 'ipv4')
    },
  }
}

function networksOf(subnets: readonly string[]): Record<'ipv4' | 'ipv6', BlockList> {
  const networks = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    const family = familyOf(address)
    networks[family].addSubnet(address, Number(bits), family)
  }
  return networks
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}
