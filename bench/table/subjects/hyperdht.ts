import DHT from 'hyperdht'
import createTestnet from 'hyperdht/testnet.js'
import { once } from 'node:events'
import { overPipes } from './over-pipes.ts'
import { socketPipe } from './sockets.ts'
import { host } from './subject.ts'

/** hyperdht's encrypted stream, by which hyperswarm connects, over a DHT of three nodes on this machine. */
export default overPipes({
  listen: async (onPipe) => {
    const testnet = await createTestnet(3)
    // A node finds out by itself that nothing is between it and the others, but only after a while.
    const node = new DHT({ bootstrap: testnet.bootstrap, host, firewalled: false })
    const server = node.createServer((socket) => onPipe(socketPipe(socket)))
    const keyPair = DHT.keyPair()
    await server.listen(keyPair)
    return JSON.stringify({
      key: Buffer.from(keyPair.publicKey).toString('hex'),
      bootstrap: testnet.bootstrap,
    })
  },
  connect: async (address) => {
    const { key, bootstrap } = JSON.parse(address) as { key: string; bootstrap: unknown[] }
    const node = new DHT({ bootstrap, host })
    return async () => {
      const socket = node.connect(Buffer.from(key, 'hex'))
      await once(socket, 'open')
      return socketPipe(socket)
    }
  },
})
