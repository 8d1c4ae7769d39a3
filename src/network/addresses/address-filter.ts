import { isIP } from 'node:net'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { classOfAddress, classOfIp, isPublicClass } from './address-class.ts'
import { behindOuterAddress } from './outer-address.ts'
import { someOfEachClass } from './own-addresses.ts'
import { parseVeiledAddress } from './veiled-address.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

export interface AddressFilterOptions {
  /** Peer id, base58btc, whose addresses these are said to be. */
  peer: PeerId
  /** Whether loopback addresses pass: only for a host that itself uses no other interface. */
  allowLoopback: boolean
  /** Most addresses returned; the last are left out. @default 12 */
  limit?: number
}

/**
 * Filters addresses that come from a DHT, or go into one, for those that another device can use: `/ip4` or `/ip6` with `/tcp`,
 * direct or relayed. Private addresses pass, because the two devices may share a network. The result names no peer at its end;
 * the dialled host has to prove to be `peer`.
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

/** Selects the own addresses, listed best first, that are worth publishing: some of each class when there are many. */
export function addressesToPublish(addresses: readonly string[], options: AddressFilterOptions): string[] {
  const all = filterAddresses(addresses, { ...options, limit: addresses.length })
  const kept = all.map((address) => multiaddr(address))
  return someOfEachClass(kept, options.limit ?? 12).map(String)
}

/** Whether the address is a name, or one that is the same everywhere on the internet. */
export function isPublic(text: string): boolean {
  const host = parse(text)?.getComponents()[0]?.value
  if (host === undefined) return false
  return isIP(host) === 0 || isPublicClass(classOfIp(host))
}

/**
 * Whether an address leads to no device under any circumstances: a metadata service, broadcast, unspecified; or to no IP network
 * at all, such as a socket in the file system, to which libp2p's TCP would connect, too.
 */
export function isNeverDialled(address: Multiaddr): boolean {
  const kind = classOfAddress(address)
  return kind === null || kind === 'never'
}

function isUsable(address: Multiaddr, peer: PeerId, allowLoopback: boolean): boolean {
  const components = address.getComponents()
  const form = components.map(({ name }) => name).join('/')
  const [host, port] = components
  if (host?.value === undefined || port?.value === '0') return false
  const isVeiled = parseVeiledAddress(address) !== null
  const isRelayed = isVeiled || /^(?:ip4|ip6|dns|dns4|dns6)\/tcp\/p2p\/p2p-circuit(?:\/p2p)?$/u.test(form)
  const isOuter = behindOuterAddress(address) !== null
  if (!isRelayed && !isOuter && !/^ip[46]\/tcp(?:\/p2p)?$/u.test(form)) return false
  const last = components.at(-1)
  if (last?.name === 'p2p' && last.value !== peer) return false
  // A path through the peer itself leads nowhere.
  if (isRelayed && components[2]?.value === peer) return false
  if (isIP(host.value) === 0) return isPublicName(host.value)
  const kind = classOfIp(host.value)
  return kind === 'loopback' ? allowLoopback : !['never', 'link-local', 'embedded'].includes(kind)
}

/** Whether a relay's name is acceptable: not one that means the reader's own computer or network. */
function isPublicName(name: string): boolean {
  return (
    /^(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}$/iu.test(name) &&
    !/\.(?:local|localhost|internal|lan|home|arpa)$/iu.test(name)
  )
}

function withoutPeer(address: Multiaddr, peer: PeerId): string {
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
