import { lookup as resolve, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Transport } from '@libp2p/interface'
import { tcp, type TCPComponents } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import { classOfAddress, classOfIp, isPublicClass } from '../addresses/address-class.ts'
import { isOnLink } from '../addresses/on-link.ts'

/**
 * TCP transport that dials only addresses that mean the same everywhere on the internet: strangers publish addresses in the DHT,
 * and could have this device connect to hosts of its own network, or to itself. Names are dialled as far as they resolve to such
 * addresses. A neighbour's address is none, even if it is global.
 *
 * @param exempt - IP addresses and names that may be anywhere
 */
export function publicTcp(exempt: ReadonlySet<string>): (components: TCPComponents) => Transport {
  return (components) => {
    const transport = tcp()(components)
    const dial = transport.dial.bind(transport)
    const dialFilter = transport.dialFilter.bind(transport)
    transport.dialFilter = (addresses) =>
      dialFilter(addresses).filter((address) => mayBeDialled(address, exempt))
    transport.dial = async (address, options) => {
      if (!mayBeDialled(address, exempt)) throw new Error('only public addresses are dialled')
      const isExempt = exempt.has(hostOf(address) ?? '')
      // The transport spreads these options over those of `net.connect`.
      const guarded = { ...options, lookup: lookUpPublic }
      return dial(address, isExempt ? options : guarded)
    }
    return transport
  }
}

function mayBeDialled(address: Multiaddr, exempt: ReadonlySet<string>): boolean {
  const host = hostOf(address) ?? ''
  if (exempt.has(host)) return true
  return isPublicClass(classOfAddress(address)) && !(isIP(host) !== 0 && isOnLink(host))
}

/** Resolves a name as the system does, without its addresses in other networks; the connection uses just these results. */
export const lookUpPublic: LookupFunction = (name, options, callback) => {
  resolve(name, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, [])
    const kept = found.filter(
      ({ address }: LookupAddress) => isPublicClass(classOfIp(address)) && !isOnLink(address),
    )
    const [first] = kept
    if (first === undefined) return callback(new Error(`${name} leads to no public address`), [])
    if (options.all === true) callback(null, kept)
    else callback(null, first.address, first.family)
  })
}

function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents()[0]?.value
}
