import type { Clock, Log } from '../../api.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { untilAborted } from '../../abort.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import { createThrowawayHost, type ThrowawayHost } from './throwaway-host.ts'
import { longestCarriedMs, type Veil } from './veil.ts'

export interface PublicNetworkOptions {
  /** Multiaddrs of the bootstrap nodes. @default libp2p's bootstrap nodes */
  bootstrap?: readonly string[] | undefined
  /** Veil of the device's connections over relays of this network; without it no relays are used. */
  veil?: Veil | null
  /** Returns random bytes. */
  random: (length: number) => Uint8Array
  clock: Clock
  log: Log
  /** Whether DHT nodes in private networks count. @default false */
  privateAddresses?: boolean
  /** Called when the veiled addresses have changed. */
  onAddressChange?: () => void
}

/** State of the public network, as shown to a person. */
export interface PublicNetworkState {
  /** Number of DHT nodes that can be asked. */
  nodes: number
  /** Relays that this device can be reached over, as peer ids in base58btc. */
  relays: string[]
}

/**
 * Public DHT and its relays, used by a host whose identity is made for the purpose, listens nowhere and is thrown away: the
 * device's own peer id is never seen there. A new identity takes over from the one before without a gap.
 */
export class PublicNetwork implements DhtClient {
  readonly #options: PublicNetworkOptions
  readonly #listeners = new Set<() => void>()
  readonly #retiring = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #current: ThrowawayHost | null = null
  #change: Promise<void> = Promise.resolve()

  constructor(options: PublicNetworkOptions) {
    this.#options = options
  }

  /** Takes a new identity: the first at once, another when it has entered the network, or a minute has passed. */
  renew(): Promise<void> {
    this.#change = this.#replace(this.#change)
    return this.#change
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('this device is shutting down'))
    await this.#change.catch(() => {})
    this.#options.veil?.use(null)
    const last = this.#current
    this.#current = null
    await Promise.all([last?.stop(), ...this.#retiring])
  }

  networkChanged(): void {
    this.#current?.networkChanged()
  }

  /** Peer id of the current identity. */
  get peerId(): string | undefined {
    return this.#current?.peerId
  }

  get nodes(): number {
    return this.#current?.dht.nodes ?? 0
  }

  state(): PublicNetworkState {
    return { nodes: this.nodes, relays: this.#current?.relays() ?? [] }
  }

  /** Veiled addresses of this device over relays of this network. */
  addresses(): string[] {
    return this.#current?.addresses() ?? []
  }

  async publish(
    record: Uint8Array,
    routingKey: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<number> {
    await this.#changed(options.signal)
    if (options.signal.aborted) return 0
    return this.#current?.dht.publish(record, routingKey, options) ?? 0
  }

  async *lookup(routingKey: Uint8Array, options: { signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    await this.#changed(options.signal)
    if (this.#current !== null) yield* this.#current.dht.lookup(routingKey, options)
  }

  onNode(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Waits for a change of identity under way: whatever the next identity is to write or look up must not come from the one
   * before, since keys that both use would link them. Never rejects.
   */
  async #changed(signal: AbortSignal): Promise<void> {
    await untilAborted(this.#change, signal).catch(() => {})
  }

  async #replace(before: Promise<void>): Promise<void> {
    await before.catch(() => {})
    if (this.#stop.signal.aborted) return
    const { onAddressChange = () => {}, veil = null, bootstrap = publicBootstrap } = this.#options
    const old = this.#current
    const { clock } = this.#options
    const news = new InterruptibleSleep(clock)
    const next = await createThrowawayHost({
      privateAddresses: false,
      ...this.#options,
      bootstrap,
      veil,
      onReservations: () => {
        news.interrupt()
        if (this.#current === next) onAddressChange()
      },
    })
    next.dht.onNode(() => {
      news.interrupt()
      if (this.#current === next) this.#tell()
    })
    if (old !== null) await this.#entered(next, old, news)
    if (this.#stop.signal.aborted) return next.stop()
    this.#current = next
    veil?.use(next.cover)
    if (old === null) return undefined
    this.#options.log('info', 'public-network.renewed')
    this.#tell()
    onAddressChange()
    this.#retire(old)
  }

  /** Waits until the new host can do what the old one can, or a minute has passed. */
  async #entered(next: ThrowawayHost, old: ThrowawayHost, news: InterruptibleSleep): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stop
    const untilMs = clock.monotonic() + entryTimeoutMs
    const isReady = (): boolean =>
      next.dht.nodes >= Math.min(1, old.dht.nodes) && next.relays().length >= Math.min(1, old.relays().length)
    while (!isReady() && !signal.aborted && clock.monotonic() < untilMs) {
      await news.for(untilMs - clock.monotonic(), signal)
    }
  }

  /** Stops the old host after queries under way and connections over its relays, if these end in time. */
  #retire(old: ThrowawayHost): void {
    const { clock, log } = this.#options
    const end = async (): Promise<void> => {
      const never = new InterruptibleSleep(clock)
      const untilMs = clock.monotonic() + longestRetirementMs
      do await never.for(retirementCheckMs, this.#stop.signal)
      while (old.carries() > 0 && clock.monotonic() < untilMs && !this.#stop.signal.aborted)
      await old.stop()
      log('info', 'public-network.left')
    }
    const retiring = end()
    this.#retiring.add(retiring)
    void retiring.finally(() => this.#retiring.delete(retiring))
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

const entryTimeoutMs = 60_000
/** Interval of checks; longer than any query. */
const retirementCheckMs = 30_000
/** Limit of an old host's life: sessions have moved before, since the connections that it carries count as running out sooner. */
const longestRetirementMs = longestCarriedMs + 120_000

/** Bootstrap nodes from https://github.com/ipfs/kubo/blob/master/config/bootstrap_peers.go */
const publicBootstrap = [
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt',
  '/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ',
]
