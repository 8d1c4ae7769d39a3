/** nft rulesets, as text: what a LAN, a router and a host's own firewall are made of. */

/** What a router does to the source of what it forwards. */
export type NatKind =
  /** forwards both ways as it is */
  | 'none'
  /** one address for all; keeps the source port, so every destination sees the same one */
  | 'port-preserving'
  /** one address for all; a random source port for each destination */
  | 'symmetric'
  /** one address for all; for each destination the next source port, whoever asks for one */
  | 'sequential'

/** What a router with NAT does with a packet from outside that nobody inside asked for. */
export type Unsolicited =
  | 'drop'
  /** answers TCP with a reset */
  | 'reset'
  /** answers that the port cannot be reached, as OpenWrt does by default */
  | 'icmp'

export interface FirewallOptions {
  /** Neither sends nor receives multicast, as on many guest networks. IPv6 neighbour discovery still works. */
  dropMulticast?: boolean
  /** Only answers get in, as a laptop's own firewall does it; the lists below name exceptions. */
  dropInbound?: boolean
  /** The same with an answer that says no: `reset`, as an iptables rule may, or `prohibited`, as firewalld does. */
  rejectInbound?: 'reset' | 'prohibited'
  /** Ports that stay open although `dropInbound` or `rejectInbound` is set, such as 5353. */
  allowUdp?: readonly number[]
  allowTcp?: readonly number[]
}

/**
 * A LAN's bridge. Ports named in `silenced` are cut off without losing their carrier. What the bridge's own namespace
 * sends never leaves it: nobody on the LAN may notice that it is there.
 */
export const bridgeRules = `
table bridge lab {
  set silenced {
    type ifname
  }
  chain prerouting {
    type filter hook prerouting priority 0
    iifname @silenced drop
  }
  chain forward {
    type filter hook forward priority 0
    oifname @silenced drop
  }
  chain output {
    type filter hook output priority 0
    drop
  }
}
`

export function silenceRule(change: 'add' | 'delete', port: string): string {
  return `${change} element bridge lab silenced { "${port}" }\n`
}

/**
 * Unwanted packets from outside are dealt with before they reach the router itself, as home routers do. If they did reach it,
 * each would be answered with a reset, and would take the port that a simultaneous open from inside needs.
 */
export function routerRules(nat: NatKind, outside: string, unsolicited: Unsolicited): string {
  if (nat === 'none') return ''
  const refuse = { drop: 'drop', reset: 'reject with tcp reset', icmp: 'reject' }[unsolicited]
  return `
table inet router {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ${mappingRules(nat, outside)}
  }
  chain forward {
    type filter hook forward priority 0
    iifname "${outside}" meta l4proto tcp ct state != { established, related } ${refuse}
    iifname "${outside}" ct state != { established, related } drop
  }
  chain input {
    type filter hook input priority 0
    iifname "${outside}" meta l4proto tcp ct state != { established, related } ${refuse}
    iifname "${outside}" meta l4proto udp ct state != { established, related } drop
  }
}
`
}

function mappingRules(nat: Exclude<NatKind, 'none'>, outside: string): string {
  if (nat === 'port-preserving') return `oifname "${outside}" masquerade`
  if (nat === 'symmetric') return `oifname "${outside}" masquerade random,fully-random`
  const ports = Array.from({ length: 1000 }, (_, index) => `${index} : ${40_000 + index}`).join(', ')
  return `oifname "${outside}" meta l4proto { tcp, udp } masquerade to :numgen inc mod 1000 map { ${ports} }`
}

/** IPv4. Replaces the blockade before; none when there are no addresses. Connections that are open end there, too. */
export function blockadeRules(addresses: readonly string[]): string {
  const list = addresses.join(', ')
  const rules = addresses.length === 0 ? '' : `ip saddr { ${list} } drop\n    ip daddr { ${list} } drop`
  return `
table inet blockade
delete table inet blockade
table inet blockade {
  chain forward {
    type filter hook forward priority -1
    ${rules}
  }
}
`
}

/** Replaces whatever firewall the host had. */
export function hostRules(options: FirewallOptions): string {
  const inbound: string[] = []
  const outbound: string[] = []
  if (options.dropMulticast === true) {
    inbound.push(...multicastRules)
    outbound.push(...multicastRules)
  }
  const { dropInbound = false, rejectInbound } = options
  if (dropInbound || rejectInbound !== undefined) {
    inbound.push('iifname "lo" accept', 'ct state { established, related } accept')
    if (options.allowUdp?.length) inbound.push(`udp dport { ${options.allowUdp.join(', ')} } accept`)
    if (options.allowTcp?.length) inbound.push(`tcp dport { ${options.allowTcp.join(', ')} } accept`)
    if (rejectInbound === 'reset') inbound.push('meta l4proto tcp reject with tcp reset')
    if (rejectInbound === 'prohibited') inbound.push('meta l4proto tcp reject with icmpx admin-prohibited')
    inbound.push('meta l4proto { tcp, udp } drop')
  }
  return `
table inet firewall
delete table inet firewall
table inet firewall {
  chain input {
    type filter hook input priority 0
    ${inbound.join('\n    ')}
  }
  chain output {
    type filter hook output priority 0
    ${outbound.join('\n    ')}
  }
}
`
}

const multicastRules = [
  'iifname != "lo" ip daddr 224.0.0.0/4 drop',
  'meta l4proto udp ip6 daddr ff00::/8 drop',
]
