import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { classOfAddress } from '../../src/network/addresses/address-class.ts'
import { firstAddress } from './lan.ts'

/** What stands for the internet in a scene. Truly public: what is only for documents is private to many programs. */
export const internetRanges = {
  ipv4: '20.3.4.0/24',
  otherIpv4: '45.67.89.0/24',
  ipv6: '2a02:4780:10::/64',
} as const

/**
 * Throws for a range that js-libp2p or Spacedock itself takes for anything but public: on one, a scene would hide what they do
 * with public addresses.
 */
export function requirePublic(range: string): void {
  const ip = firstAddress(range)
  const address = multiaddr(`/${ip.includes(':') ? 'ip6' : 'ip4'}/${ip}/tcp/1`)
  const own = classOfAddress(address)
  if (isPrivate(address)) throw new Error(`to js-libp2p, ${range} is private: no internet`)
  if (own !== 'public' && own !== 'global-ipv6')
    throw new Error(`to Spacedock, ${range} is ${own}: no internet`)
}
