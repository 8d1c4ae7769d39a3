import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { overPipes } from './over-pipes.ts'
import { socketPipe } from './sockets.ts'
import { host } from './subject.ts'

export default overPipes({
  listen: async (onPipe) => {
    const server = createServer({ noDelay: true }, (socket) => {
      // The other end may be stopped in the middle.
      socket.on('error', () => {})
      onPipe(socketPipe(socket))
    })
    await once(server.listen(0, host), 'listening')
    return JSON.stringify({ host, port: (server.address() as AddressInfo).port })
  },
  connect: async (address) => async () => {
    const socket = connect({ ...(JSON.parse(address) as { host: string; port: number }), noDelay: true })
    await once(socket, 'connect')
    return socketPipe(socket)
  },
})
