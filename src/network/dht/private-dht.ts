import type { KadDHT, KadDHTComponents } from '@libp2p/kad-dht'
import type { Clock } from '../../api.ts'
import type { DhtClient, DhtHost } from './dht-client.ts'
import { dhtService } from './dht-service.ts'
import { Members } from './members.ts'
import { privateDhtClient } from './private-dht-client.ts'

/** A device's part in the private DHT of its rendezvous nodes: it asks, and does not answer. */
export interface PrivateDht {
  /** Service of a libp2p host. */
  readonly service: (components: KadDHTComponents) => KadDHT
  /** Returns the client of the host that has the service. */
  client(host: DhtHost): DhtClient
}

/** @param configured peer ids of the nodes that a person configured, base58btc */
export function privateDht(configured: ReadonlySet<string>, clock: Clock): PrivateDht {
  const members = new Members(configured)
  return {
    service: dhtService({ mode: 'client', network: 'private', clock, members }),
    client: (host) => privateDhtClient(host, members),
  }
}
