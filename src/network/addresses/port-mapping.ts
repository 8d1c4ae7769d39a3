import type { Gateway } from '@achingbrain/nat-port-mapper'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { onLink, type UsableInterface } from '../interfaces.ts'
import { classOfIp } from './address-class.ts'

export interface PortMappingOptions {
  /** TCP port on which this host listens. */
  port: number
  interfaces: () => readonly UsableInterface[]
  clock: Clock
  log: Log
  /** Called with the mapped addresses whenever they may have changed. */
  onMapped: (addresses: Multiaddr[]) => void
  /** Yields the routers of the local networks that support UPnP, until the signal aborts. */
  findGateways?: (options: { signal: AbortSignal }) => AsyncIterable<PortGateway>
}

export type PortGateway = Pick<Gateway, 'host' | 'map' | 'stop'>

/**
 * Maps this host's port on home routers by UPnP, in the background; what fails is tried again later. A mapping ends after an hour
 * unless it is renewed, and with this host.
 */
export class PortMapping {
  readonly #options: PortMappingOptions
  readonly #sleep: InterruptibleSleep
  readonly #stop = new AbortController()
  /** Routers whose mappings end when this host stops. */
  #gateways: PortGateway[] = []
  #running: Promise<void> | undefined

  constructor(options: PortMappingOptions) {
    this.#options = options
    this.#sleep = new InterruptibleSleep(options.clock)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Starts over: another network has another router. */
  networkChanged(): void {
    this.#sleep.interrupt()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    const signal = AbortSignal.timeout(leaveMs)
    await Promise.allSettled(this.#gateways.map((gateway) => gateway.stop({ signal })))
  }

  /** Maps the port, and renews the mapping, until the host stops. Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#stop
    // A start, a pairing or a message sent now comes first.
    await this.#sleep.for(firstPauseMs, signal)
    while (!signal.aborted) {
      const mapped = await this.#mapAll().catch((error: unknown) => {
        this.#options.log('debug', 'port-mapping.failed', { error: String(error) })
        return []
      })
      if (signal.aborted) return
      this.#options.onMapped(mapped)
      await this.#sleep.for(againMs, signal)
    }
  }

  async #mapAll(): Promise<Multiaddr[]> {
    const { interfaces, findGateways = upnpGateways } = this.#options
    const networks = interfaces()
    if (!needsMapping(networks)) return []
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(searchMs)])
    const mapped: Multiaddr[] = []
    const gateways: PortGateway[] = []
    let asked = 0
    for await (const gateway of findGateways({ signal })) {
      asked++
      const address = await this.#map(gateway, networks, signal).catch((error: unknown) => {
        this.#options.log('debug', 'port-mapping.refused', { gateway: gateway.host, error: String(error) })
        return null
      })
      if (address !== null) {
        mapped.push(address)
        // At its end the library unmaps this host's port number; if the router mapped another number, that would be another
        // device's.
        if (address.toString().endsWith(`/tcp/${this.#options.port}`)) gateways.push(gateway)
        // The search for more takes seconds.
        this.#options.onMapped([...mapped])
      }
      if (asked === maxGateways) break
    }
    this.#gateways = gateways
    return mapped
  }

  /** Returns null for a router that is in none of our networks, or has no public address itself. */
  async #map(
    gateway: PortGateway,
    networks: readonly UsableInterface[],
    signal: AbortSignal,
  ): Promise<Multiaddr | null> {
    const { port, log } = this.#options
    const network = networks.find((each) => onLink(each).includes(gateway.host))
    const own = network?.ipv4.find((ip) => isBehindNat(ip))
    if (own === undefined) return null
    const { externalHost, externalPort } = await gateway.map(port, own, {
      protocol: 'tcp',
      ttl: lifetimeMs,
      autoRefresh: false,
      description: 'Spacedock',
      signal,
    })
    if (classOfIp(externalHost) !== 'public') {
      log('debug', 'port-mapping.not-public', { gateway: gateway.host, external: externalHost })
      return null
    }
    log('info', 'port-mapping.mapped', { gateway: gateway.host, external: `${externalHost}:${externalPort}` })
    return multiaddr(`/ip4/${externalHost}/tcp/${externalPort}`)
  }
}

/** Whether all IPv4 addresses of the networks are in ranges that routers translate. */
function needsMapping(networks: readonly UsableInterface[]): boolean {
  const all = networks.flatMap(({ ipv4 }) => ipv4)
  return all.some((ip) => isBehindNat(ip)) && !all.some((ip) => classOfIp(ip) === 'public')
}

function isBehindNat(ip: string): boolean {
  return ['private', 'shared'].includes(classOfIp(ip))
}

/** Loads the library only here: that takes longer than the rest of a start. */
async function* upnpGateways({ signal }: { signal: AbortSignal }): AsyncGenerator<PortGateway> {
  const { upnpNat } = await import('@achingbrain/nat-port-mapper')
  yield* upnpNat({ autoRefresh: false }).findGateways({ signal })
}

const firstPauseMs = 1_000
const searchMs = 6_000
const leaveMs = 2_000
/** Least lifetime that the library requests. */
const lifetimeMs = 3_600_000
const againMs = 25 * 60_000
const maxGateways = 2
