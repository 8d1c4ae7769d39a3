import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { isNeverDialled } from '../discovery/address-filter.ts'
import { lazyEncryption, lazyStreams } from '../lazy-negotiation.ts'
import { RendezvousNodes } from '../relay/rendezvous-nodes.ts'
import { dhtClient, type DhtClient } from './dht-client.ts'
import { dhtService, publicDhtProtocol } from './dht-service.ts'

export interface ThrowawayDhtOptions {
  /** Multiaddrs by which the network is entered. @default libp2p's bootstrap nodes */
  bootstrap?: readonly string[] | undefined
  clock: Clock
  log: Log
  /** Whether DHT nodes in private networks count. @default false */
  privateAddresses?: boolean
}

/**
 * The public DHT, asked and written to by a host of its own whose identity is made for the purpose, listens nowhere and is
 * thrown away: the device's own peer id is never seen there.
 */
export class ThrowawayDht implements DhtClient {
  readonly #options: ThrowawayDhtOptions
  readonly #listeners = new Set<() => void>()
  #current: { host: Libp2p; client: DhtClient; entry: RendezvousNodes } | null = null
  #change: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: ThrowawayDhtOptions) {
    this.#options = options
  }

  /** Takes a new identity, the first time or instead of the old one. Resolves when it is made; entering the network takes longer. */
  renew(): Promise<void> {
    this.#change = this.#replace(this.#change)
    return this.#change
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#change.catch(() => {})
    await this.#dispose()
  }

  /** Nodes that could not be reached are tried again now. */
  hurry(): void {
    this.#current?.entry.hurry()
  }

  /** The identity of the moment. */
  get peerId(): string | undefined {
    return this.#current?.host.peerId.toString()
  }

  get nodes(): number {
    return this.#current?.client.nodes ?? 0
  }

  async publish(
    record: Uint8Array,
    routingKey: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<number> {
    return this.#current?.client.publish(record, routingKey, options) ?? 0
  }

  async *lookup(routingKey: Uint8Array, options: { signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    if (this.#current !== null) yield* this.#current.client.lookup(routingKey, options)
  }

  onNode(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #replace(before: Promise<void>): Promise<void> {
    await before.catch(() => {})
    await this.#dispose()
    if (!this.#isStopped) await this.#create()
  }

  async #create(): Promise<void> {
    const { bootstrap = publicBootstrap, clock, log, privateAddresses = false } = this.#options
    const host = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [lazyStreams(yamux())],
      services: {
        identify: identify(),
        ping: ping(),
        lazyEncryption: lazyEncryption(),
        dht: dhtService({ mode: 'client', network: 'public', clock, privateAddresses }),
      },
      nodeInfo: { userAgent: 'js-libp2p' },
      connectionMonitor: { enabled: false },
      connectionManager: { reconnectRetries: 0, dialTimeout: 5_000 },
      connectionGater: { denyDialMultiaddr: isNeverDialled },
    })
    const client = dhtClient(host, publicDhtProtocol)
    client.onNode(() => {
      for (const listener of this.#listeners) listener()
    })
    const entry = new RendezvousNodes({ libp2p: host, addresses: bootstrap, clock, log })
    entry.start()
    this.#current = { host, client, entry }
  }

  async #dispose(): Promise<void> {
    const old = this.#current
    this.#current = null
    await old?.entry.stop()
    await old?.host.stop()
  }
}

/** https://github.com/ipfs/kubo/blob/master/config/bootstrap_peers.go */
const publicBootstrap = [
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt',
  '/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ',
]
