import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Network of one customer of an internet provider: an IPv4 address, or the /64 of an IPv6 address. Limits count these, since peer
 * ids cost nothing.
 */
export function networkOf(address: Multiaddr): string {
  const ip = address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')
  if (ip?.value === undefined) return 'unknown'
  return networkOfIp(ip.value)
}

/** The same of an IP address. */
export function networkOfIp(ip: string): string {
  return ip.includes(':') ? prefixOf(ip) : ip
}

/** Returns the /64: `2001:db8::1` -> `2001:db8:0:0` */
function prefixOf(ipv6: string): string {
  const [head = '', tail] = ipv6.toLowerCase().split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}
