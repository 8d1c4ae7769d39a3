import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { usableInterfaces, type ListInterfaces } from '../interfaces.ts'

/**
 * Whether an IP address is a neighbour's: in the network of one of this machine's interfaces, whatever its range. Behind a home
 * router with IPv6 the neighbours have global addresses like anybody else. An IPv6 network is at least the /64.
 */
export function isOnLink(ip: string, list: ListInterfaces = networkInterfaces): boolean {
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4'
  const neighbours = new BlockList()
  for (const { subnets, loopback } of usableInterfaces({}, list)) {
    if (loopback) continue
    for (const subnet of subnets) {
      const [address = '', prefix] = subnet.split('/')
      const own = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      const bits = own === 'ipv6' ? Math.min(64, Number(prefix)) : Number(prefix)
      if (own === family) neighbours.addSubnet(address, bits, own)
    }
  }
  return neighbours.check(ip, family)
}
