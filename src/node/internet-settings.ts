import type { NodeOptions } from '../api.ts'
import { systemClock } from '../clock.ts'
import { parsePeerAddress } from '../network/addresses/peer-address.ts'
import { parseRendezvousAddress, type RendezvousAddress } from '../network/addresses/rendezvous-address.ts'
import type { HostOptions } from '../network/host/create-host.ts'
import type { Store } from '../store/store.ts'
import type { Internet, InternetParts } from './internet.ts'
import { PeersOfNode } from './peers-of-node.ts'

/** Meeting points of devices in different networks. */
export interface InternetSettings {
  rendezvous: readonly RendezvousAddress[]
  dht: 'private' | 'public'
  bootstrap?: readonly string[]
}

/** Returns null when only the local network is to be used. Throws `invalid-argument`. */
export function internetSettings(options: NodeOptions): InternetSettings | null {
  const { rendezvous = [], dht = 'private', lanOnly = false, dhtBootstrap } = options
  if (lanOnly || (rendezvous.length === 0 && dht === 'private')) return null
  const nodes = rendezvous.map((address) => parseRendezvousAddress(address))
  for (const address of dhtBootstrap ?? []) parsePeerAddress(address, 'dhtBootstrap')
  return { rendezvous: nodes, dht, ...(dhtBootstrap === undefined ? {} : { bootstrap: dhtBootstrap }) }
}

/** Makes what finds devices in other networks. */
export type OpenInternet = (parts: Omit<InternetParts, 'settings'>) => Internet

/** Loads it, half of the program's code, where it is used and nowhere else. */
export async function loadInternet(settings: InternetSettings): Promise<OpenInternet> {
  const { Internet } = await import('./internet.ts')
  return (parts) => new Internet({ ...parts, settings })
}

/** Returns the relays: the rendezvous nodes, and on the public network those that are met; `undefined` when none may be used. */
export function relayOptions(
  { rendezvous = [], dht, lanOnly = false, clock = systemClock, log = () => {} }: NodeOptions,
  store: Store,
): HostOptions['relay'] {
  if (lanOnly) return undefined
  const secrets = new Map<string, Uint8Array | null>()
  const relays = rendezvous.map((address) => parseRendezvousAddress(address))
  for (const { peer, secret } of relays) secrets.set(peer, secret ?? secrets.get(peer) ?? null)
  return {
    peers: new PeersOfNode(
      store,
      relays.map(({ peer }) => peer),
    ),
    secretOf: (peer) => secrets.get(peer) ?? null,
    public: dht === 'public',
    clock,
    log,
  }
}
