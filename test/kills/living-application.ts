import * as v from 'valibot'
import type { Device } from '../../src/api.ts'
import { createNode, defineProtocol, defineStream, SpacedockError } from '../../src/index.ts'

/**
 * An application in a process of its own: it keeps a stream open to the other device from the moment that one is connected, writes
 * to it now and then, and asks it for what takes a while. Arguments: data directory, name. What it says to the process that
 * started it are `Said`s; what it is told are `Told`s.
 */
export type Said =
  | { said: 'up'; listen: string[] }
  | { said: 'words'; words: string }
  | { said: 'paired' }
  | { said: 'holding' }
  | { said: 'disconnected' }
  /** What was accepted has failed, and its owner was told. */
  | { said: 'told'; what: string; code: string }
  | { said: 'counts'; answered: number; echoed: number; open: number }
  | { said: 'closed' }

export type Told =
  | { tell: 'pair' }
  | { tell: 'join'; words: string; peers: string[] }
  | { tell: 'count' }
  /** Ends its stream and its requests, which have to end well. */
  | { tell: 'finish' }
  | { tell: 'close' }

const echo = defineStream({ name: 'echo', version: 1, request: v.null() })
const slow = defineProtocol({ name: 'slow', version: 1, request: v.number(), response: v.number() })
const say = (said: Said): void => {
  if (process.connected) process.send?.(said)
}
const counts = { answered: 0, echoed: 0, open: 0 }
const finishing = new AbortController()

const [dataDir = '', name = ''] = process.argv.slice(2)
const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']
const node = await createNode({ dataDir, name, interfaces, mdns: false })
node.handle({ ...echo, handler: (_request, { readable, writable }) => readable.pipeTo(writable) })
node.handle({
  ...slow,
  async handler(delayMs) {
    await pause(delayMs)
    return delayMs
  },
})
node.addEventListener('device:disconnected', () => say({ said: 'disconnected' }))
node.addEventListener('device:connected', ({ detail }) => void live(node.device(detail.id)))
for (const device of node.devices()) if (device.state === 'connected') void live(device)

process.on('message', (told: Told) => void listen(told))
say({ said: 'up', listen: node.status().listen })

async function listen(told: Told): Promise<void> {
  switch (told.tell) {
    case 'pair': {
      const invitation = await node.pair()
      say({ said: 'words', words: invitation.words })
      await invitation.paired
      return say({ said: 'paired' })
    }
    case 'join':
      await node.join(told.words, { peers: told.peers })
      return say({ said: 'paired' })
    case 'count':
      return say({ said: 'counts', ...counts })
    case 'finish':
      finishing.abort()
      return
    case 'close':
      await node.close()
      say({ said: 'closed' })
      return process.disconnect()
  }
}

async function live(device: Device): Promise<void> {
  await Promise.all([undertake('stream', () => keepStream(device)), keepAsking(device)])
}

async function keepStream(device: Device): Promise<void> {
  const { readable, writable, closed } = await device.openStream(echo, null)
  say({ said: 'holding' })
  const [reader, writer] = [readable.getReader(), writable.getWriter()]
  while (!finishing.signal.aborted) {
    await writer.write(new Uint8Array(1_000))
    for (let missing = 1_000; missing > 0;) {
      const { value } = await reader.read()
      if (value === undefined) throw new Error('the stream ended')
      missing -= value.byteLength
    }
    counts.echoed++
    await pause(50)
  }
  await writer.close()
  await reader.read()
  await closed
}

/** Several at a time, as long as the device is there. */
async function keepAsking(device: Device): Promise<void> {
  while (!finishing.signal.aborted && device.state === 'connected') {
    void undertake('request', async () => {
      await device.request(slow, 700)
      counts.answered++
    })
    await pause(100)
  }
}

async function undertake(what: string, run: () => Promise<void>): Promise<void> {
  counts.open++
  try {
    await run()
  } catch (error) {
    const code = error instanceof SpacedockError ? error.code : String(error)
    // Not accepted: it is not connected (any more).
    if (code !== 'offline' && code !== 'closed') say({ said: 'told', what, code })
  } finally {
    counts.open--
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
