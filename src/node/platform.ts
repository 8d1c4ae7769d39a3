import { randomBytes } from 'node:crypto'
import type { Clock, NodeOptions } from '../api.ts'
import { systemClock } from '../clock.ts'
import {
  LocalNetwork,
  type LocalDiscovery,
  type LocalListener,
  type LocalNetworkOptions,
} from '../network/discovery/local-network.ts'
import { createHost } from '../network/host/create-host.ts'
import type { Host } from '../network/host/host.ts'
import { usableInterfaces, watchInterfaces } from '../network/interfaces.ts'
import { openStore, type Store } from '../store/store.ts'
import { version } from '../version.ts'
import { relayOptions, type InternetSettings } from './internet-settings.ts'
import { boxLimits } from './message-limits.ts'
import { StoredPairKeys } from './pair-keys.ts'
import { PeersOfNode } from './peers-of-node.ts'
import { withPort } from './own-settings.ts'

/** All that a node gets from outside: time, randomness, disk and network. `spacedock/testing` has simulated ones. */
export interface Platform {
  readonly clock: Clock
  /** Returns bytes that nobody can guess. */
  readonly random: (length: number) => Uint8Array
  openStore(): Store
  createHost(store: Store, settings: InternetSettings | null): Promise<Host>
  localNetwork(listener: LocalListener, options: LocalNetworkOptions): LocalDiscovery
  /** Calls back when a network interface comes, goes, or changes its addresses, until the function returned is called. */
  watchNetwork(onChange: () => void): () => void
}

/** Platform on which this program runs. */
export function thisPlatform(options: NodeOptions): Platform {
  const { clock = systemClock, log = () => {}, interfaces, dataDir } = options
  return {
    clock,
    random: (length) => randomBytes(length),
    openStore: () => openStore({ dataDir, clock, ...boxLimits(options.messages) }),
    createHost: async (store, settings) => {
      const dht = settings === null ? undefined : (await import('./internet.ts')).ownDht(settings, clock)
      return withPort(store.settings, { given: options.port, isLocal: isLoopback(interfaces), log }, (port) =>
        createHost({
          seed: store.identity.seed,
          port,
          interfaces,
          agent: `spacedock/${version}`,
          announce: options.announce,
          mapPort: settings !== null && options.portMapping !== false,
          dht,
          peers: new PeersOfNode(store, []),
          tls: { pairKeys: new StoredPairKeys(store), clock, log },
          relay: relayOptions(options, store),
        }),
      )
    },
    localNetwork: (listener, parts) => new LocalNetwork(listener, parts),
    watchNetwork: (onChange) => watchInterfaces(onChange, { names: interfaces }),
  }
}

/** Whether loopback was chosen; that there is no other interface just now may change. */
function isLoopback(names: string[] | undefined): boolean {
  return names !== undefined && usableInterfaces({ names }).every(({ loopback }) => loopback)
}

/** Returns a random number in [0, 1). */
export function fraction(random: Platform['random']): number {
  return new DataView(Uint8Array.from(random(4)).buffer).getUint32(0) / 2 ** 32
}
