import type { SpacedockNode } from '../../src/index.ts'
import { quantile } from './statistics.ts'
import { invite, joinAt, startNode } from './subjects/spacedock.ts'

/** A device in a process of its own: pairs and sends as the benchmark orders. */

export type DeviceOrder =
  | { do: 'start' }
  /** Shows a code; answers with what `join` needs. */
  | { do: 'invite' }
  /** Answers when the device that joined by the last code is known: `monotonicMs`. */
  | { do: 'paired' }
  /** Joins with a new device; answers with the times of the call and of its end. */
  | { do: 'join'; address: string }
  /** Sends one after the other to the device joined last; answers with the median in milliseconds. */
  | { do: 'send'; count: number }

export interface Joining {
  startedMs: number
  endedMs: number
}

let node: SpacedockNode | null = null
let pairedMs: Promise<number> | null = null

process.on('message', (order: DeviceOrder) => {
  carryOut(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : error }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ answer: 'ready' })

async function carryOut(order: DeviceOrder): Promise<unknown> {
  switch (order.do) {
    case 'start':
      await node?.close()
      node = await startNode('device')
      return null
    case 'invite': {
      const { address, paired } = await invite(started())
      pairedMs = paired.then(monotonicMs)
      pairedMs.catch(() => {})
      return address
    }
    case 'paired':
      return pairedMs
    case 'join': {
      const startedMs = monotonicMs()
      await joinAt(started(), order.address)
      return { startedMs, endedMs: monotonicMs() } satisfies Joining
    }
    case 'send':
      return send(order.count)
  }
}

async function send(count: number): Promise<number> {
  const device = started().devices()[0]
  if (device === undefined) throw new Error('no device is paired')
  const times: number[] = []
  for (let number = -count / 5; number < count; number++) {
    const startedAt = performance.now()
    const { status } = await device.send(`note ${number}`)
    if (status !== 'delivered') throw new Error('a message was not delivered')
    if (number >= 0) times.push(performance.now() - startedAt)
  }
  return quantile(times, 0.5)
}

function started(): SpacedockNode {
  if (node === null) throw new Error('not started')
  return node
}

/** The same clock for all processes of a machine. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
