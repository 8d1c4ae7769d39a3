import { BlockList } from 'node:net'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isLinkLocalIpv6, type OnLink, type UsableInterface } from '../../interfaces.ts'
import type { AnnouncedAddress } from './mdns-packets.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'
import { peerIdOf } from '../../../peer-id.ts'

export const maximumAddressesPerPeer = 16

/**
 * Returns what to announce on an interface, out of the addresses the host listens on: TCP ones of this interface, wildcards
 * (`/ip4/0.0.0.0`, `/ip6/::`) expanded to its addresses. IPv4 first, link-local IPv6 last, without zones: they mean nothing on
 * another machine. Only Spacedock can dial those, and many programs keep what they hear first: so where an interface has nothing
 * else, the addresses of the host's other interfaces come before them.
 */
export function announcedAddresses(
  listening: Multiaddr[],
  network: UsableInterface,
  others: readonly UsableInterface[],
  peerId: PeerId,
): AnnouncedAddress[] {
  const own = addressesOn(network, listening, peerId)
  if (own.some(isUsable)) return own
  const elsewhere = others
    .filter(({ name, loopback }) => name !== network.name && !loopback)
    .flatMap((other) => addressesOn(other, listening, peerId))
    .filter((address) => isUsable(address) && !address.host.startsWith('169.254.'))
  return [...elsewhere.sort(byUsefulness).slice(0, maximumFromElsewhere), ...own]
}

/** Whether a program that knows nothing of zones can dial it. */
export function isUsable({ host }: AnnouncedAddress): boolean {
  return !isLinkLocalIpv6(host)
}

/** Most addresses of other interfaces, so that the interface's own still fit into the packet. */
const maximumFromElsewhere = 4

function addressesOn(
  { ipv4, ipv6 }: UsableInterface,
  listening: Multiaddr[],
  peerId: PeerId,
): AnnouncedAddress[] {
  const own = { ipv4, ipv6: ipv6.map((address) => address.split('%')[0] ?? address) }
  const found = new Map<string, AnnouncedAddress>()
  for (const address of listening) {
    const endpoint = readEndpoint(address)
    if (endpoint === undefined) continue
    const { family, host, port } = endpoint
    const wildcard = host === '0.0.0.0' || host === '::'
    for (const reachable of own[family].filter((candidate) => wildcard || candidate === host)) {
      const text = `/${ipNames[family]}/${reachable}/tcp/${port}/p2p/${peerId}`
      found.set(text, { multiaddr: text, family, host: reachable, port })
    }
  }
  return [...found.values()].sort(byUsefulness)
}

/**
 * Parses the peer and the addresses in a stranger's TXT strings, as far as they could be dialled from this interface. A
 * link-local IPv6 address gets the interface's zone (`/ip6zone/eth0/ip6/fe80::1/...`): it is only good there.
 */
export function heardAddresses(
  texts: string[],
  link: UsableInterface,
  networks: OnLink,
): { peerId: PeerId; addresses: Multiaddr[] } | undefined {
  let owner: PeerId | undefined
  const addresses = new Map<string, Multiaddr>()
  for (const text of texts) {
    const heard = parseText(text)
    if (heard === undefined || addresses.size === maximumAddressesPerPeer) continue
    owner ??= heard.peerId
    if (heard.peerId !== owner || !dialable(heard.endpoint, link, networks)) continue
    const zone = isLinkLocalIpv6(heard.endpoint.host) ? `/ip6zone/${link.zone}` : ''
    addresses.set(text, multiaddr(`${zone}${heard.address.toString()}`))
  }
  if (owner === undefined || addresses.size === 0) return undefined
  return { peerId: owner, addresses: [...addresses.values()] }
}

const ipNames = { ipv4: 'ip4', ipv6: 'ip6' } as const
const textPrefix = 'dnsaddr='

interface Endpoint {
  family: 'ipv4' | 'ipv6'
  host: string
  port: number
}

function parseText(text: string): { peerId: PeerId; endpoint: Endpoint; address: Multiaddr } | undefined {
  if (!text.startsWith(textPrefix) || text.length > 255) return undefined
  try {
    const address = multiaddr(text.slice(textPrefix.length))
    const endpoint = readEndpoint(address)
    const [, , last, ...more] = address.getComponents()
    if (endpoint === undefined || more.length > 0 || last?.name !== 'p2p') return undefined
    return { peerId: peerIdOf(peerIdFromString(last.value ?? '')), endpoint, address }
  } catch {
    return undefined // not a multiaddr, or no peer id: somebody else's text
  }
}

/** Parses the host and port of `/ip4|ip6/HOST/tcp/PORT[/p2p/PEERID]`; undefined for any other address. */
function readEndpoint(address: Multiaddr): Endpoint | undefined {
  const [ip, tcp, peer, ...more] = address.getComponents()
  const port = Number(tcp?.value)
  if (tcp?.name !== 'tcp' || port === 0 || more.length > 0 || (peer !== undefined && peer.name !== 'p2p')) {
    return undefined
  }
  if (ip?.value === undefined || (ip.name !== 'ip4' && ip.name !== 'ip6')) return undefined
  return { family: ip.name === 'ip4' ? 'ipv4' : 'ipv6', host: ip.value, port }
}

const never = { ipv4: new BlockList(), ipv6: new BlockList() }
never.ipv4.addSubnet('0.0.0.0', 8, 'ipv4') // this host
never.ipv4.addSubnet('224.0.0.0', 3, 'ipv4') // multicast, reserved, broadcast
never.ipv6.addSubnet('::', 96, 'ipv6') // unspecified, loopback (let through below), IPv4-compatible
never.ipv6.addSubnet('::ffff:0:0', 96, 'ipv6') // IPv4-mapped: would walk around the rules for IPv4
never.ipv6.addSubnet('ff00::', 8, 'ipv6') // multicast

/**
 * Whether an address may be dialled: no stranger must send us to ourselves, to a group, or to a cloud's metadata service at
 * 169.254.169.254.
 */
function dialable({ family, host }: Endpoint, link: UsableInterface, networks: OnLink): boolean {
  if (family === 'ipv6') {
    if (host === '::1') return link.loopback
    return !never.ipv6.check(host, 'ipv6')
  }
  if (host.startsWith('127.')) return link.loopback
  if (host.startsWith('169.254.')) return networks.includes(host)
  return !never.ipv4.check(host, 'ipv4')
}

function byUsefulness(left: AnnouncedAddress, right: AnnouncedAddress): number {
  return usefulness(left) - usefulness(right)
}

function usefulness({ family, host }: AnnouncedAddress): number {
  if (family === 'ipv4') return 0
  return isLinkLocalIpv6(host) ? 2 : 1
}
