import { atExit } from './at-exit.ts'
import type { CableOptions } from './cable.ts'
import { capture } from './capture.ts'
import type { StopCapture } from './capture.ts'
import { routerRules } from './firewall.ts'
import type { NatKind, Unsolicited } from './firewall.ts'
import { Host } from './host.ts'
import { Lan } from './lan.ts'
import type { LanOptions, Route } from './lan.ts'
import { cleanStale, namespacesOf, newLabId, nft, removeNamespaces, sysctl } from './namespace.ts'
import { internetRanges, requirePublic } from './public-range.ts'

export { cleanStale } from './namespace.ts'
export type { CableOptions } from './cable.ts'
export type { FirewallOptions, NatKind, Unsolicited } from './firewall.ts'
export type { Host } from './host.ts'
export type { Lan, LanOptions } from './lan.ts'
export type { StopCapture } from './capture.ts'

export interface RouterOptions {
  /** Its hosts get their default route through the router. */
  inside: Lan
  outside: Lan
  /** @default 'port-preserving' */
  nat?: NatKind
  /** @default 'drop' */
  unsolicited?: Unsolicited
  /** Between it and `outside`. @default a short one */
  uplink?: CableOptions | undefined
}

/**
 * A small internet of network namespaces: hosts, LANs, routers. Nothing in it is connected to this machine's own
 * network. Ends with `close`, with `await using`, and with this process; what a killed process left behind goes when
 * the next lab is made.
 */
export async function createLab(): Promise<Lab> {
  cleanStale()
  return new Lab()
}

export class Lab {
  readonly id = newLabId()
  readonly #hosts: Host[] = []
  readonly #forget = atExit(() => {
    removeNamespaces(namespacesOf(this.id))
  })

  async lan(name: string, options: LanOptions): Promise<Lan> {
    const lan = new Lan(name, `${this.id}-lan-${name}`, options)
    await lan.start()
    return lan
  }

  /** A LAN whose range is public, and has to be to whoever judges addresses. @default IPv4 alone */
  async internet(options: LanOptions = { ipv4: internetRanges.ipv4 }): Promise<Lan> {
    const { ipv4, ipv6 } = options
    for (const range of [ipv4, ipv6]) if (typeof range === 'string') requirePublic(range)
    return await this.lan('internet', options)
  }

  /**
   * A machine on these LANs, its interfaces named eth0, eth1, ... in their order, all at the end of such a cable. It has no
   * default route unless one of them has a router.
   */
  async host(name: string, lans: readonly Lan[], cable?: CableOptions): Promise<Host> {
    const host = new Host(name, `${this.id}-host-${name}`)
    this.#hosts.push(host)
    await host.start(lans, cable)
    return host
  }

  /** Joins two LANs: eth0 is inside, eth1 outside. A router with NAT lets only answers in; without NAT, outside learns the way in. */
  async router(name: string, options: RouterOptions): Promise<Host> {
    const { inside, outside, nat = 'port-preserving', unsolicited = 'drop', uplink } = options
    const router = await this.host(name, [inside])
    await router.addInterface(outside, uplink)
    await sysctl(router.namespace, { 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 })
    await nft(router.namespace, routerRules(nat, router.interfaceName(outside), unsolicited))
    for (const family of ['ipv4', 'ipv6'] as const) {
      const prefix = inside[family]
      if (prefix === null || outside[family] === null) continue
      await this.#announce(inside, { to: 'default', via: router.address(inside, family) })
      if (nat === 'none') await this.#announce(outside, { to: prefix, via: router.address(outside, family) })
    }
    return router
  }

  /** Records all traffic on a LAN as pcap. */
  async capture(lan: Lan, file?: string): Promise<StopCapture> {
    return await capture(lan, file)
  }

  /** Kills every process of the lab and removes all of it. May be called again. */
  async close(): Promise<void> {
    await Promise.all(this.#hosts.map(async (host) => await host.killAll()))
    removeNamespaces(namespacesOf(this.id))
    this.#forget()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #announce(lan: Lan, route: Route): Promise<void> {
    lan.routes.push(route)
    for (const host of this.#hosts) if (host.isOn(lan)) await host.addRoute(lan, route)
  }
}
