import { usualRecordLimits } from '../../src/network/dht/store-quota.ts'
import { longestPauseMs, republishMs } from '../../src/network/discovery/peer-presence.ts'
import { relayLimits } from '../../src/network/relay/relay-limits.ts'
import { usualConnections } from '../../src/network/relay/rendezvous-server.ts'
import { quietMs } from '../../src/network/session/liveness.ts'
import { presenceEpochMs, presenceEpochsToRead } from '../../src/pairing/presence-keys.ts'
import type { Behaviour, Limits, Machine, Population } from './load.ts'

/** What devices do, as the source says. */
export const behaviour: Behaviour = {
  republishMs,
  lookupEveryMs: longestPauseMs,
  epochMs: presenceEpochMs,
  epochsRead: presenceEpochsToRead(0).length,
  livenessEveryMs: quietMs,
}

/** What a rendezvous node has room for when nobody says otherwise, as the source says. */
export const usualLimits: Limits = {
  records: usualRecordLimits.records,
  recordsPerDevice: usualRecordLimits.recordsPerPeer,
  recordLifetimeMs: usualRecordLimits.lifetimeMs,
  reservations: relayLimits().reservations,
  connections: usualConnections,
  relayedBytesPerSecond: relayLimits().bytesPerSecondInAll,
}

/** Who uses it. Assumptions: nobody has been asked. */
export const population: Population = {
  devices: 1_000_000,
  devicesPerPerson: 3,
  nodesPerPerson: 2,
  onShare: 0.5,
  epochsOnShare: 0.8,
  addressChangesPerDay: 4,
  relayedShare: 0.1,
  applicationBytesPerPairAndDay: 20e6,
  livenessBytes: 300,
}

/** What one process of a rendezvous node may use: half of one core, so that bursts find room. */
export const machine: Machine = { coreShare: 0.5, memoryBytes: 2 * 2 ** 30 }
