import type { Clock, Log } from '../../api.ts'
import type { Suite } from '../../pairing/suite.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import type { RecordAddresses } from './record-addresses.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Dependencies of publishing records in a DHT, and of looking them up. */
export interface RecordParts {
  client: DhtClient
  suite: Suite
  clock: Clock
  /** Returns random bytes. */
  random: (length: number) => Uint8Array
  /** Peer id of this device, base58btc. */
  peer: PeerId
  /** Returns the multiaddrs at which this device can be dialled. */
  addresses: () => readonly string[]
  /** Calls back when the addresses may have changed; the function returned stops it. */
  onAddressChange: (listener: () => void) => () => void
  /** Whether this device uses the loopback interface and no other. */
  usesOnlyLoopback: () => boolean
  /** Rules for the addresses in others' records. */
  dialable: Pick<RecordAddresses, 'usable'>
  log: Log
}

/** Returns a random number in [0, 1). */
export function randomFraction({ random }: Pick<RecordParts, 'random'>): number {
  return Buffer.from(random(4)).readUInt32BE() / 2 ** 32
}
