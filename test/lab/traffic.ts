import type { Host } from './host.ts'
import { nft } from './namespace.ts'

/** IP packets, and their bytes with all headers from IP's on. */
export interface Traffic {
  bytesIn: number
  bytesOut: number
  packetsIn: number
  packetsOut: number
}

/** Counts what a host exchanges with some addresses, whatever else passes its interfaces. IPv4. */
export class TrafficMeter {
  readonly #host: Host
  #startedAtMs = performance.now()

  private constructor(host: Host) {
    this.#host = host
  }

  /** One meter for a host; it counts from now on. */
  static async start(host: Host, prefixes: readonly string[]): Promise<TrafficMeter> {
    await nft(host.namespace, meterRules(prefixes))
    return new TrafficMeter(host)
  }

  /** What has been counted since the last time, and over how long. */
  async take(): Promise<Traffic & { ms: number }> {
    const command = ['nft', '--json', 'reset', 'counters', 'table', 'inet', 'traffic']
    const { code, stdout, stderr } = await this.#host.run(command)
    if (code !== 0) throw new Error(`the counters cannot be read: ${stderr}`)
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: Counter }[] }
    const counter = (name: string): Counter | undefined =>
      nftables.find((each) => each.counter?.name === name)?.counter
    const startedAtMs = this.#startedAtMs
    this.#startedAtMs = performance.now()
    return {
      bytesIn: counter('in')?.bytes ?? 0,
      bytesOut: counter('out')?.bytes ?? 0,
      packetsIn: counter('in')?.packets ?? 0,
      packetsOut: counter('out')?.packets ?? 0,
      ms: this.#startedAtMs - startedAtMs,
    }
  }
}

interface Counter {
  name: string
  bytes: number
  packets: number
}

/** For the eyes: `in 12.3 kB, 101 packets; out ...`. */
export function showTraffic({ bytesIn, bytesOut, packetsIn, packetsOut }: Traffic): string {
  return `in ${kilobytes(bytesIn)}, ${packetsIn} packets; out ${kilobytes(bytesOut)}, ${packetsOut} packets`
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`
}

/** The same amount of traffic, for a minute. */
export function perMinute({ ms, ...traffic }: Traffic & { ms: number }): Traffic {
  const scaled = (count: number): number => Math.round((count * 60_000) / ms)
  return {
    bytesIn: scaled(traffic.bytesIn),
    bytesOut: scaled(traffic.bytesOut),
    packetsIn: scaled(traffic.packetsIn),
    packetsOut: scaled(traffic.packetsOut),
  }
}

function meterRules(prefixes: readonly string[]): string {
  const list = prefixes.join(', ')
  return `
table inet traffic {
  counter in { }
  counter out { }
  chain input {
    type filter hook input priority -10
    ip saddr { ${list} } counter name in
  }
  chain output {
    type filter hook output priority -10
    ip daddr { ${list} } counter name out
  }
}
`
}
