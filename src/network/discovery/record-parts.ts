import type { Clock, Log } from '../../api.ts'
import type { Suite } from '../../pairing/suite.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** What it takes to leave records in a DHT, and to find them. */
export interface RecordParts {
  client: DhtClient
  suite: Suite
  clock: Clock
  /** Random bytes. */
  random: (length: number) => Uint8Array
  /** This device's peer id, base58btc. */
  peer: PeerId
  /** Multiaddrs at which this device can be dialled. */
  addresses: () => readonly string[]
  /** Calls back when they may have changed; the function returned stops it. */
  onAddressChange: (listener: () => void) => () => void
  /** Whether this device uses the loopback interface and no other. */
  usesOnlyLoopback: () => boolean
  log: Log
}

/** In [0, 1). */
export function randomFraction({ random }: Pick<RecordParts, 'random'>): number {
  return Buffer.from(random(4)).readUInt32BE() / 2 ** 32
}
