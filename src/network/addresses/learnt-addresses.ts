import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { usableInterfaces } from '../interfaces.ts'
import type { KnownPeers } from '../known-peers.ts'
import { ObservedAddresses, type ObservedConnection } from './observed-addresses.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { PortMapping } from './port-mapping.ts'

export interface LearntAddressesOptions {
  libp2p: Pick<Libp2p, 'addEventListener'>
  own: OwnAddresses
  interfaces: string[] | undefined
  peers: Pick<KnownPeers, 'isPaired'>
  /** Whether to ask routers to pass connections on. */
  mapPort: boolean
  clock: Clock
  log: Log
}

export interface LearntAddresses {
  networkChanged(): void
  /** Takes the word of the peer of a connection that libp2p does not know: at which address it has reached this host. */
  observed(connection: ObservedConnection, address: Multiaddr): void
  stop(): Promise<void>
}

/** Addresses of a running host that only others know: peers that have reached it, and routers. */
export function learnAddresses(options: LearntAddressesOptions): LearntAddresses {
  const { libp2p, own, interfaces, peers, mapPort, clock, log } = options
  const observed = new ObservedAddresses({ peers, clock })
  const changed = (): void => {
    own.changed().catch((error: unknown) => log('debug', 'addresses.not-kept', { error: String(error) }))
  }
  own.learnFrom('observed', () => observed.believed())
  const heard = (connection: ObservedConnection, address: Multiaddr): void => {
    const port = own.port()
    if (port === null) return
    observed.heard(connection, address, port)
    changed()
  }
  libp2p.addEventListener('peer:identify', ({ detail }) => {
    if (detail.observedAddr !== undefined) heard(detail.connection, detail.observedAddr)
  })
  const port = own.port()
  const mapping =
    mapPort && port !== null
      ? new PortMapping({
          port,
          interfaces: () => usableInterfaces({ names: interfaces }),
          clock,
          log,
          onMapped: (addresses) => {
            own.learnFrom('mapped', () => addresses)
            changed()
          },
        })
      : null
  mapping?.start()
  return {
    networkChanged: () => mapping?.networkChanged(),
    observed: heard,
    stop: async () => mapping?.stop(),
  }
}
