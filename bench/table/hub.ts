import type { Device, SpacedockNode } from '../../src/index.ts'
import { renameSync } from 'node:fs'
import { peakMemoryMib, residentMib } from './memory.ts'
import { obey } from './obey.ts'
import { invite, joinAt, newDataDir, startNode } from './subjects/spacedock.ts'

/** The one device that is measured: it has many others, or many messages. */

export type HubOrder =
  /** Starts it, or starts it again with what it has. Answers with how long that took, in milliseconds. */
  | { do: 'start'; inboxMessages?: number }
  /** Goes away, and answers with the data directory: another process may start with it. */
  | { do: 'hand-over' }
  /** Joins all of these, so many at once. Answers with the milliseconds that this took, until all are connected. */
  | { do: 'join'; addresses: readonly string[]; atOnce: number }
  /** Answers with the milliseconds until as many devices are connected. */
  | { do: 'await'; connected: number }
  /** Shows as many codes; answers with what `join` needs. */
  | { do: 'invite'; count: number }
  /** Sends so many messages to each device, a thousand at once at most. Answers with the milliseconds that this took. */
  | { do: 'send'; each: number }
  /** Answers with the milliseconds until nothing waits in the outbox. */
  | { do: 'drain' }
  /** Lists the inbox, then reads it one by one from the beginning. Answers with an `InboxTimes`. */
  | { do: 'read-inbox' }
  | { do: 'usage' }

export interface HubUsage {
  /** Of user and system, since the process began. */
  cpuSeconds: number
  memoryMib: number
  peakMemoryMib: number
  connected: number
}

export interface InboxTimes {
  messages: number
  listMs: number
  readMs: number
}

/** Sends that are not waited for. */
const sendsAtOnce = 1_000
/** How often the outbox is looked at. */
const lookMs = 50

const dataDir = process.argv[2] ?? newDataDir()
let node: SpacedockNode | null = null

obey(async (order: HubOrder) => {
  switch (order.do) {
    case 'start': {
      const { inboxMessages } = order
      return timed(async () => {
        const options = inboxMessages === undefined ? {} : { messages: { inboxMessages } }
        node = await startNode('hub', { dataDir, ...options })
      })
    }
    case 'hand-over': {
      await node?.close()
      node = null
      const handedOver = `${dataDir}-handed-over`
      renameSync(dataDir, handedOver)
      return handedOver
    }
    case 'join':
      return timed(() => joinAll(order.addresses, order.atOnce))
    case 'await':
      return timed(() => untilConnected(order.connected))
    case 'invite':
      return Promise.all(Array.from({ length: order.count }, async () => (await invite(hub())).address))
    case 'send':
      return timed(async () => {
        for (const device of hub().devices()) await send(device, order.each)
      })
    case 'drain':
      return timed(async () => {
        // A list of the outbox would take longer than what is measured.
        while (hub().metrics().messages.queued > 0)
          await new Promise((resolve) => setTimeout(resolve, lookMs))
      })
    case 'read-inbox':
      return readInbox()
    case 'usage': {
      const { userCPUTime, systemCPUTime } = process.resourceUsage()
      return {
        cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
        memoryMib: residentMib(process.pid),
        peakMemoryMib: peakMemoryMib(),
        connected: connectedDevices(),
      } satisfies HubUsage
    }
  }
})

async function joinAll(addresses: readonly string[], atOnce: number): Promise<void> {
  const left = [...addresses]
  const joining = async (): Promise<void> => {
    for (let address = left.pop(); address !== undefined; address = left.pop()) await joinAt(hub(), address)
  }
  await Promise.all(Array.from({ length: atOnce }, joining))
}

async function untilConnected(count: number): Promise<void> {
  while (connectedDevices() < count) {
    await new Promise<void>((resolve) =>
      hub().addEventListener('device:connected', () => resolve(), { once: true }),
    )
  }
}

async function send(device: Device, count: number): Promise<void> {
  for (let first = 0; first < count; first += sendsAtOnce) {
    const numbers = Array.from({ length: Math.min(sendsAtOnce, count - first) }, (_, index) => first + index)
    await Promise.all(numbers.map((number) => device.send(`note ${number}`)))
  }
}

async function readInbox(): Promise<InboxTimes> {
  let messages = 0
  const listMs = await timed(async () => void (messages = hub().inbox().length))
  const readMs = await timed(async () => {
    let left = messages
    for await (const message of hub().messages()) if (message !== undefined && --left === 0) break
  })
  return { messages, listMs, readMs }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

function connectedDevices(): number {
  return node?.devices().reduce((count, { state }) => count + (state === 'connected' ? 1 : 0), 0) ?? 0
}

function hub(): SpacedockNode {
  if (node === null) throw new Error('not started')
  return node
}
