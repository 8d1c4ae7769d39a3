import { BlockList, isIP } from 'node:net'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isLinkLocalIpv6, type OnLink, type UsableInterface } from '../../interfaces.ts'
import { textPrefix } from './mdns-packets.ts'
import type { AnnouncedAddress } from './mdns-packets.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'
import { peerIdOf } from '../../../libp2p-peer.ts'

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

/** What a stranger's TXT strings say. */
export interface HeardAddresses {
  peerId: PeerId
  /** Multiaddrs that may be dialled, each ending in /p2p/PEERID; at most 16. */
  addresses: string[]
  /** All addresses as they were said. */
  said: string[]
}

/**
 * Parses the peer and the addresses in a stranger's TXT strings, as far as they could be dialled from this interface. A
 * link-local IPv6 address gets the interface's zone (`/ip6zone/eth0/ip6/fe80::1/...`): it is only good there. Texts are taken
 * apart by one expression: a stranger may send a thousand packets a second, and libp2p's parser would take half a core for them.
 */
export function heardAddresses(
  texts: readonly string[],
  link: UsableInterface,
  networks: OnLink,
): HeardAddresses | undefined {
  let owner: PeerId | undefined
  const addresses = new Set<string>()
  for (const text of texts) {
    if (addresses.size === maximumAddressesPerPeer) break
    const heard = parseText(text)
    if (heard === undefined || (owner !== undefined && heard.peer !== owner)) continue
    owner ??= checkedPeer(heard.peer)
    if (owner === undefined || !dialable(heard.endpoint, link, networks)) continue
    const zone = isLinkLocalIpv6(heard.endpoint.host) ? `/ip6zone/${link.zone}` : ''
    addresses.add(`${zone}${text.slice(textPrefix.length)}`)
  }
  if (owner === undefined || addresses.size === 0) return undefined
  const said = texts
    .filter((text) => text.startsWith(textPrefix))
    .map((text) => text.slice(textPrefix.length))
  return { peerId: owner, addresses: [...addresses], said }
}

/** Whether the address is the very one that a packet came from. */
export function isOwnAddress(address: string, sender: string): boolean {
  const host = /\/ip[46]\/([^/]+)\/tcp\//u.exec(address)?.[1]
  return host !== undefined && host === sender.split('%')[0]
}

const ipNames = { ipv4: 'ip4', ipv6: 'ip6' } as const

interface Endpoint {
  family: 'ipv4' | 'ipv6'
  host: string
  port: number
}

const textForm =
  /^dnsaddr=\/(?:ip4\/([0-9.]{7,15})|ip6\/([0-9a-f:.]{2,45}))\/tcp\/([1-9][0-9]{0,4})\/p2p\/([1-9A-HJ-NP-Za-km-z]{40,64})$/u

function parseText(text: string): { peer: string; endpoint: Endpoint } | undefined {
  const [, ipv4, ipv6, portText, peer] = textForm.exec(text) ?? []
  const host = ipv4 ?? ipv6
  const port = Number(portText)
  if (host === undefined || peer === undefined || port > 65_535) return undefined
  if (isIP(host) !== (ipv4 === undefined ? 6 : 4)) return undefined
  return { peer, endpoint: { family: ipv4 === undefined ? 'ipv6' : 'ipv4', host, port } }
}

/** Returns the peer that the text names; undefined when it is none, or not written as its own text. */
function checkedPeer(text: string): PeerId | undefined {
  try {
    const peer = peerIdOf(peerIdFromString(text))
    return peer === text ? peer : undefined
  } catch {
    return undefined // somebody else's text
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
