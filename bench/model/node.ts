import { randomBytes } from 'node:crypto'
import { usualRecordLimits } from '../../src/network/dht/store-quota.ts'
import { createRendezvousServer, type RendezvousServer } from '../../src/network/relay/rendezvous-server.ts'
import { residentMib } from '../table/memory.ts'
import { obey } from '../table/obey.ts'
import { loopback } from '../table/subjects/subject.ts'

/** A real rendezvous node in a process of its own, with limits that are out of the way. */

export type NodeOrder = { do: 'start' } | { do: 'usage' }

export interface NodeUsage {
  cpuMs: number
  /** The same, with what it took to collect garbage for the next figure. */
  cpuMsAfterwards: number
  /** Resident, once garbage is collected. */
  memoryBytes: number
  reservations: number
}

const many = 10_000_000

let server: RendezvousServer | null = null

obey(async (order: NodeOrder) => {
  switch (order.do) {
    case 'start': {
      server = await createRendezvousServer({
        seed: randomBytes(32),
        port: 0,
        interfaces: [loopback],
        agent: 'bench',
        maxConnections: many,
        relay: {
          reservations: many,
          requestsPerMinute: many,
          requestsPerMinuteAndAddress: many,
          bytesPerSecond: many * 1_000,
          bytesPerSecondInAll: many * 1_000,
        },
        records: {
          ...usualRecordLimits,
          records: many,
          recordsPerPeer: many,
          recordsPerAddress: many,
          writesPerMinute: many,
        },
      })
      return server.addresses()[0]
    }
    case 'usage': {
      const cpuMs = cpuMsNow()
      globalThis.gc?.()
      const memoryBytes = residentMib(process.pid) * 2 ** 20
      return {
        cpuMs,
        cpuMsAfterwards: cpuMsNow(),
        memoryBytes,
        reservations: server?.usage().reservations ?? 0,
      } satisfies NodeUsage
    }
  }
})

function cpuMsNow(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
