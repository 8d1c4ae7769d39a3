import type { Libp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { usableInterfaces } from '../interfaces.ts'
import type { KnownPeers } from '../known-peers.ts'
import { ObservedAddresses } from './observed-addresses.ts'
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
  libp2p.addEventListener('peer:identify', ({ detail }) => {
    const port = own.port()
    if (port === null || detail.observedAddr === undefined) return
    observed.heard(detail.connection, detail.observedAddr, port)
    changed()
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
    stop: async () => mapping?.stop(),
  }
}
