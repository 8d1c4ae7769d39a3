import { createServer, type AddressInfo } from 'node:net'
import * as v from 'valibot'
import { createNode, defineProtocol } from '../src/index.ts'

/**
 * The other side of bench/messages.ts, in a process of its own: a device that joins by the words it is sent, and answers typed
 * requests with what they say; beside it a TCP server that does the same with bytes.
 */
export const echo = defineProtocol({ name: 'echo', version: 1, request: v.string(), response: v.string() })

export interface Invited {
  words: string
  peers: string[]
}

export interface Ready {
  tcpPort: number
}

const [, , dataDir, loopback] = process.argv
if (process.send !== undefined && dataDir !== undefined && loopback !== undefined) {
  await answer(dataDir, loopback)
}

async function answer(dataDir: string, loopback: string): Promise<void> {
  const node = await createNode({ dataDir, name: 'bob', interfaces: [loopback], mdns: false })
  node.handle({ ...echo, handler: (text) => text })
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (bytes) => socket.write(bytes))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.on('message', ({ words, peers }: Invited) => {
    const ready: Ready = { tcpPort: (server.address() as AddressInfo).port }
    void node.join(words, { peers }).then(() => process.send?.(ready))
  })
  process.on('disconnect', () => {
    server.close()
    void node.close().then(() => process.exit())
  })
}
