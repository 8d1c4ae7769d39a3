import { setTimeout as pause } from 'node:timers/promises'
import { createLab } from '../../../test/lab/lab.ts'
import { whyNoLab } from '../../../test/lab/requirements.ts'
import type { CrowdOrder } from '../crowd.ts'
import type { HubOrder, HubUsage } from '../hub.ts'
import { loopbackTraffic } from '../loopback-traffic.ts'
import { Program } from '../program.ts'
import type { Job, Setting, Sizes } from './job.ts'

/** Devices of one process of the other side. */
const devicesPerProcess = 100
/** Devices that are there while they pair: who joins asks every device that is connected for the code. */
const devicesAtATime = 20
const joinsAtOnce = 4

/**
 * One device in a process of its own, paired and connected with this many others, and nothing to say. The others are nodes like it,
 * with sockets and directories of their own, a hundred in a process. All are in a network namespace, whose loopback interface
 * carries nothing else: so every packet is counted, once.
 */
export function paired({ devices }: Sizes): Job {
  return {
    rows: ['paired-memory', 'paired-cpu', 'paired-packets'],
    subjects: devices.map((count) => `spacedock-${count}-devices`),
    isCostly: true,
    whyNot: () => whyNoLab(),
    run: async (subject, setting) => {
      const count = Number(subject.split('-')[1])
      await using lab = await createLab()
      const { namespace } = await lab.host('devices', [])
      const place = { namespace, env: {} }
      const hub = await Program.start<HubOrder>('hub.ts', [], setting, place)
      const crowds: Program<CrowdOrder>[] = []
      try {
        await hub.order({ do: 'start' })
        for (let made = 0; made < count; made += devicesPerProcess) {
          const crowd = await Program.start<CrowdOrder>('crowd.ts', [], setting, place)
          crowds.push(crowd)
          await pairAll(hub, crowd, Math.min(devicesPerProcess, count - made))
        }
        const returning = Promise.all(crowds.map((crowd) => crowd.order({ do: 'return' })))
        await hub.order({ do: 'await', connected: count })
        await returning
        return await idle(hub, count, setting)
      } finally {
        for (const program of [...crowds, hub]) await program.stop()
      }
    },
  }
}

/** Pairs the device with as many others, which are away afterwards. */
async function pairAll(hub: Program<HubOrder>, crowd: Program<CrowdOrder>, count: number): Promise<void> {
  for (let paired = 0; paired < count; paired += devicesAtATime) {
    await crowd.order({ do: 'grow', count: Math.min(devicesAtATime, count - paired) })
    const addresses = await crowd.order<string[]>({ do: 'invite' })
    await hub.order({ do: 'join', addresses, atOnce: joinsAtOnce })
    await crowd.order({ do: 'leave' })
  }
}

async function idle(hub: Program<HubOrder>, count: number, { sizes, signal }: Setting) {
  const { pairedIdleMs } = sizes
  // What pairing has begun ends first.
  await pause(pairedIdleMs / 10, undefined, { signal })
  const sample = async (): Promise<HubUsage & { packets: number }> => ({
    ...(await hub.order<HubUsage>({ do: 'usage' })),
    packets: loopbackTraffic(hub.pid).packets,
  })
  const before = await sample()
  await pause(pairedIdleMs, undefined, { signal })
  const after = await sample()
  if (after.connected !== count) throw new Error(`${after.connected} of ${count} devices are connected`)
  const minutes = pairedIdleMs / 60_000
  return {
    'paired-memory': after.memoryMib,
    'paired-cpu': (after.cpuSeconds - before.cpuSeconds) / minutes,
    'paired-packets': (after.packets - before.packets) / minutes / count,
  }
}
