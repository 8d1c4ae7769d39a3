import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import type { Clock, Log } from '../api.ts'
import { privateDht } from '../network/dht/private-dht.ts'
import { PublicNetwork, type PublicNetworkState } from '../network/public/public-network.ts'
import { isPublic } from '../network/addresses/address-filter.ts'
import { CodeRecords } from '../network/discovery/code-records.ts'
import { RecordAddresses } from '../network/discovery/record-addresses.ts'
import type { PresenceKeySource } from '../network/discovery/peer-presence.ts'
import { PresenceRecords } from '../network/discovery/presence-records.ts'
import type { RecordParts } from '../network/discovery/record-parts.ts'
import type { HostOptions } from '../network/host/create-host.ts'
import type { Host } from '../network/host/host.ts'
import { usableInterfaces } from '../network/interfaces.ts'
import type { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import { RendezvousNodes } from '../network/relay/rendezvous-nodes.ts'
import { suite1 } from '../pairing/suite.ts'
import type { InternetSettings } from './internet-settings.ts'

/** Returns the DHT that the device's own host takes part in: only on the private network. */
export function ownDht(settings: InternetSettings, clock: Clock): HostOptions['dht'] {
  if (settings.dht !== 'private') return undefined
  return privateDht(new Set(settings.rendezvous.map(({ peer }) => peer)), clock)
}

export interface InternetParts {
  settings: InternetSettings
  /** Devices that are found, and tried anew when a rendezvous node, and its relay with it, is there. */
  supervisor: Pick<ConnectionSupervisor, 'peers' | 'tryAnew'>
  host: Host
  interfaces: string[] | undefined
  presenceKeys: PresenceKeySource
  clock: Clock
  log: Log
}

/** Finds devices beyond the local network. Nothing in it delays anything else, and none of it can fail a start. */
export class Internet {
  readonly nodes: RendezvousNodes
  readonly codeRecords: CodeRecords
  readonly presence: PresenceRecords
  readonly #public: PublicNetwork | null
  readonly #log: Log
  readonly #addressListeners = new Set<() => void>()
  readonly #host: Host

  constructor({ settings, supervisor, host, interfaces, presenceKeys, clock, log }: InternetParts) {
    const { bootstrap } = settings
    const rendezvous = settings.rendezvous.map(({ address }) => address.toString())
    // A setting of the nodes by which the public DHT is entered may mean one of the person's own, in a private network.
    const privateAddresses = bootstrap?.every((address) => !isPublic(address)) ?? false
    this.#log = log
    this.#host = host
    this.nodes = new RendezvousNodes({
      libp2p: host.libp2p,
      addresses: rendezvous,
      clock,
      log,
      onConnected: () => supervisor.tryAnew(),
    })
    const onAddressChange = (): void => this.#onAddressChange()
    this.#public =
      host.dht === null
        ? new PublicNetwork({
            bootstrap,
            veil: host.veil,
            random,
            clock,
            log,
            privateAddresses,
            onAddressChange,
          })
        : null
    const client = host.dht ?? this.#public
    if (client === null) throw new TypeError('neither a private DHT nor a public one')
    const usesOnlyLoopback = (): boolean =>
      usableInterfaces({ names: interfaces }).every(({ loopback }) => loopback)
    const records: RecordParts = {
      client,
      suite: suite1,
      clock,
      random,
      peer: host.peerId,
      addresses: () => [
        ...[...host.outerAddresses(), ...host.addresses()].map(String),
        ...(this.#public?.addresses() ?? []),
      ],
      onAddressChange: (listener) => {
        this.#addressListeners.add(listener)
        return () => this.#addressListeners.delete(listener)
      },
      usesOnlyLoopback,
      dialable: new RecordAddresses({
        ownRelays: rendezvous,
        privateRelays: () => privateAddresses,
        usesOnlyLoopback,
        lookUp: lookUpName,
      }),
      log,
    }
    this.codeRecords = new CodeRecords(records)
    this.presence = new PresenceRecords({
      records,
      peers: supervisor.peers,
      onEpoch: () => this.#renewIdentity(),
      keys: presenceKeys,
    })
  }

  /** Starts in the background everything that may take long. */
  start(): void {
    this.#host.libp2p.addEventListener('self:peer:update', this.#onAddressChange)
    this.nodes.start()
    this.#renewIdentity()
    this.presence.start()
  }

  /** Looks anew when interfaces or their addresses came or went. */
  networkChanged(): void {
    this.nodes.hurry()
    this.#public?.networkChanged()
    this.presence.look()
    this.codeRecords.look()
    this.#onAddressChange()
  }

  /** Returns null when the public network is not used. */
  publicNetwork(): PublicNetworkState | null {
    return this.#public?.state() ?? null
  }

  async stop(): Promise<void> {
    this.#host.libp2p.removeEventListener('self:peer:update', this.#onAddressChange)
    await Promise.allSettled([this.presence.stop(), this.nodes.stop(), this.#public?.stop()])
  }

  readonly #onAddressChange = (): void => {
    for (const listener of this.#addressListeners) listener()
  }

  /** Renews the throwaway identity: nobody on the public network can tell that the one of this epoch was here before. */
  #renewIdentity(): void {
    this.#public?.renew().catch((error: unknown) => {
      this.#log('warn', 'dht.not-entered', { error: String(error) })
    })
  }
}

async function lookUpName(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true })
  return found.map(({ address }) => address)
}

function random(length: number): Uint8Array {
  return randomBytes(length)
}
