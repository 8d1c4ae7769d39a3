import { isIP } from 'node:net'
import { multiaddr, type Component } from '@multiformats/multiaddr'
import type { PeerId } from '../../pairing/peer-id.ts'
import { classOfIp, isPublicClass } from '../addresses/address-class.ts'
import { filterAddresses } from '../addresses/address-filter.ts'
import { isOnLink } from '../addresses/on-link.ts'
import { isRelayed } from '../addresses/relayed-address.ts'

export interface RecordAddressesOptions {
  /** Multiaddrs of this device's own rendezvous nodes, whose relays it uses at these addresses only. */
  ownRelays: readonly string[]
  /** Whether relays of others may be in private networks: only for a device whose whole world is one. */
  privateRelays: () => boolean
  usesOnlyLoopback: () => boolean
  /** Returns the IP addresses that a name leads to. */
  lookUp: (name: string) => Promise<readonly string[]>
}

/**
 * Chooses the addresses of a record that are dialled. Whoever can write it, a paired device or a holder of the words, may mean
 * hosts that are not his: so relays that this device does not know are used at addresses that mean the same everywhere, never in
 * its own networks, also where a name leads there.
 */
export class RecordAddresses {
  readonly #options: RecordAddressesOptions
  readonly #ownRelays = new Map<string, string>()

  constructor(options: RecordAddressesOptions) {
    this.#options = options
    for (const address of options.ownRelays) {
      const relay = multiaddr(address).getComponents().at(-1)?.value ?? ''
      if (!this.#ownRelays.has(relay)) this.#ownRelays.set(relay, address)
    }
  }

  async usable(addresses: readonly string[], peer: PeerId): Promise<string[]> {
    const allowLoopback = this.#options.usesOnlyLoopback()
    const all = filterAddresses(addresses, { peer, allowLoopback })
    const relayed = all.filter((address) => isRelayed(multiaddr(address))).slice(0, maxRelayed)
    const judged = new Map(
      await Promise.all(relayed.map(async (address) => [address, await this.#overRelay(address)] as const)),
    )
    const chosen = all.map((address) => (isRelayed(multiaddr(address)) ? judged.get(address) : address))
    return [...new Set(chosen.filter((address) => typeof address === 'string'))]
  }

  /** Returns the address as it may be dialled; null when it may not. */
  async #overRelay(address: string): Promise<string | null> {
    const components = multiaddr(address).getComponents()
    const [host, , relay] = components
    if (host?.value === undefined || relay?.value === undefined) return null
    const own = this.#ownRelays.get(relay.value)
    const behind = components.slice(3)
    if (own !== undefined) return `${own}${textOf(behind)}`
    if (this.#options.privateRelays() || this.#options.usesOnlyLoopback()) return address
    const ips = isIP(host.value) === 0 ? await this.#lookUp(host.value) : [host.value]
    const ip = ips.find((each) => isPublicClass(classOfIp(each)) && !isOnLink(each))
    if (ip === undefined) return null
    return `/ip${isIP(ip)}/${ip}${textOf(components.slice(1))}`
  }

  async #lookUp(name: string): Promise<readonly string[]> {
    return this.#options.lookUp(name).catch(() => [])
  }
}

function textOf(components: readonly Component[]): string {
  return components
    .map(({ name, value }) => (value === undefined ? `/${name}` : `/${name}/${value}`))
    .join('')
}

/** Most relayed addresses of one record: a device has places at three public relays, or at its own few. */
const maxRelayed = 4
