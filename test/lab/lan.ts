import { layCable, type CableOptions } from './cable.ts'
import { bridgeRules } from './firewall.ts'
import { createNamespace, ip, nft, sysctl } from './namespace.ts'

export interface LanOptions {
  /** Such as `10.1.0.0/24`. @default null: no IPv4 addresses */
  ipv4?: string | null
  /** Such as `fd00:1::/64`; hosts have link-local addresses in any case. @default null */
  ipv6?: string | null
}

export interface Route {
  /** `default` or a prefix. */
  to: string
  via: string
}

/** Where one interface is plugged in, and the addresses it has there. */
export interface Socket {
  /** Name of the bridge's end of the cable. */
  port: string
  ipv4: string | null
  ipv6: string | null
}

/** An Ethernet switch: a bridge in a namespace of its own, which passes everything at once, multicast included. */
export class Lan {
  readonly name: string
  readonly namespace: string
  readonly ipv4: string | null
  readonly ipv6: string | null
  /** What its hosts are told, as DHCP or router advertisements would; `lab.router` adds to it. */
  readonly routes: Route[] = []
  #sockets = 0

  constructor(name: string, namespace: string, options: LanOptions) {
    this.name = name
    this.namespace = namespace
    this.ipv4 = options.ipv4 ?? null
    this.ipv6 = options.ipv6 ?? null
  }

  async start(): Promise<void> {
    await createNamespace(this.namespace)
    await sysctl(this.namespace, {
      'net/ipv6/conf/all/disable_ipv6': 1,
      'net/ipv6/conf/default/disable_ipv6': 1,
    })
    await ip(this.namespace, [
      // Snooping would hold multicast back until a querier, which there is none of, has asked.
      `link add br0 ${plainBridge}`,
      `address add ${markerAddress}/24 broadcast ${markerBroadcast} dev br0`,
      'link set br0 up',
    ])
    await nft(this.namespace, bridgeRules)
  }

  /** Puts this end of a link into the switch, at the end of a long cable if one is asked for. */
  async plug(port: string, cable?: CableOptions): Promise<void> {
    if (cable === undefined) {
      await ip(this.namespace, [`link set ${port} master br0 up`])
      return
    }
    const splice = `${port}-splice`
    await ip(this.namespace, [
      `link add ${splice} ${plainBridge}`,
      `link set ${splice} up`,
      `link set ${port} master ${splice} up`,
    ])
    await layCable(this.namespace, `${port}-end`, [splice, 'br0'], cable)
  }

  /** The next free place: addresses count up from 1 in the order of plugging in. */
  nextSocket(): Socket {
    this.#sockets += 1
    return {
      port: `port${this.#sockets}`,
      ipv4: this.ipv4 === null ? null : nthIpv4(this.ipv4, this.#sockets),
      ipv6: this.ipv6 === null ? null : nthIpv6(this.ipv6, this.#sockets),
    }
  }
}

const plainBridge = 'type bridge mcast_snooping 0 stp_state 0 forward_delay 0'

/** Used only to mark the end of a capture, from a range (RFC 1112, class E) that no LAN has. */
export const markerBroadcast = '240.0.0.255'
const markerAddress = '240.0.0.1'

/** `10.1.0.0/24` -> `10.1.0.1` */
export function firstAddress(prefix: string): string {
  return prefix.includes(':') ? nthIpv6(prefix, 1) : nthIpv4(prefix, 1)
}

/** `10.1.0.0/24`, 3 -> `10.1.0.3` */
function nthIpv4(prefix: string, n: number): string {
  const [base = '', length] = prefix.split('/')
  if (n >= 2 ** (32 - Number(length)) - 1) throw new Error(`${prefix} has no address left`)
  const bytes = base.split('.').map(Number)
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0) + n
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** `fd00:1::/64`, 10 -> `fd00:1::a` */
function nthIpv6(prefix: string, n: number): string {
  const [base = ''] = prefix.split('/')
  if (!base.endsWith('::')) throw new Error(`${prefix}: an IPv6 prefix ends in ::/length here`)
  return `${base}${n.toString(16)}`
}
