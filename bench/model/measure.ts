import { setTimeout as pause } from 'node:timers/promises'
import { createLab } from '../../test/lab/lab.ts'
import { loopbackTraffic } from '../table/loopback-traffic.ts'
import { Program } from '../table/program.ts'
import type { ClientsOrder } from './clients.ts'
import type { Cost, Points } from './load.ts'
import type { NodeOrder, NodeUsage } from './node.ts'

export interface MeasureSizes {
  records: number
  lookups: number
  reservations: number
  idleMs: number
  relayedBytes: number
}

export const usualMeasureSizes: MeasureSizes = {
  records: 6_000,
  lookups: 4_000,
  reservations: 100,
  idleMs: 60_000,
  relayedBytes: 64 * 2 ** 20,
}

export const quickMeasureSizes: MeasureSizes = {
  records: 500,
  lookups: 500,
  reservations: 10,
  idleMs: 3_000,
  relayedBytes: 8 * 2 ** 20,
}

/** By which code is compiled. */
const fewReservations = 10

interface Sample extends NodeUsage {
  wireBytes: number
}

/**
 * Measures a real rendezvous node, with real clients in another process, in a network namespace that carries nothing else. What a
 * record, a request, a place and a relayed byte cost is the difference of two moments, divided by their number.
 */
export async function measurePoints(sizes: MeasureSizes, signal: AbortSignal): Promise<Points> {
  const { records, lookups, reservations, idleMs, relayedBytes } = sizes
  await using lab = await createLab()
  const { namespace } = await lab.host('rendezvous', [])
  const setting = { checkout: '', signal }
  const place = { namespace, env: { NODE_OPTIONS: '--expose-gc' } }
  const node = await Program.start<NodeOrder>('../model/node.ts', [], setting, place)
  const clients = await Program.start<ClientsOrder>('../model/clients.ts', [], setting, place)
  const sample = async (): Promise<Sample> => ({
    ...(await node.order<NodeUsage>({ do: 'usage' })),
    wireBytes: loopbackTraffic(node.pid).bytes,
  })
  try {
    const address = await node.order<string>({ do: 'start' })
    // Places first: memory that records have taken and given back would hide them.
    await clients.order({ do: 'reserve', address, count: fewReservations })
    const few = await sample()
    await clients.order({ do: 'reserve', address, count: reservations })
    const crowded = await sample()
    await pause(idleMs, undefined, { signal })
    const later = await sample()
    await clients.order({ do: 'relay', bytes: relayedBytes })
    const relayed = await sample()
    const half = records / 2
    await clients.order({ do: 'enter', address })
    // Code is compiled by then.
    await clients.order({ do: 'prepare', records: half })
    await clients.order({ do: 'publish' })
    await clients.order({ do: 'look', count: half / 4 })
    await clients.order({ do: 'prepare', records: half })
    const empty = await sample()
    await clients.order({ do: 'publish' })
    const full = await sample()
    await clients.order({ do: 'look', count: lookups })
    const looked = await sample()
    const reservationBytes = (crowded.memoryBytes - few.memoryBytes) / reservations
    const each = reservations + fewReservations
    return {
      baseBytes: few.memoryBytes - reservationBytes * fewReservations,
      recordBytes: (full.memoryBytes - empty.memoryBytes) / half,
      reservationBytes,
      put: cost(empty, full, half),
      get: cost(full, looked, lookups),
      idleMinute: cost(crowded, later, (each * idleMs) / 60_000),
      relayedByte: cost(later, relayed, relayedBytes),
    }
  } finally {
    await clients.stop()
    await node.stop()
  }
}

function cost(before: Sample, after: Sample, count: number): Cost {
  return {
    cpuMs: (after.cpuMs - before.cpuMsAfterwards) / count,
    wireBytes: (after.wireBytes - before.wireBytes) / count,
  }
}
