import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { overPipes } from './over-pipes.ts'
import { socketPipe } from './sockets.ts'
import { host } from './subject.ts'

export default overPipes({
  listen: async (onPipe) => {
    const server = createServer({ noDelay: true }, (socket) => onPipe(socketPipe(socket)))
    await once(server.listen(0, host), 'listening')
    return String((server.address() as AddressInfo).port)
  },
  connect: async (port) => async () => {
    const socket = connect({ host, port: Number(port), noDelay: true })
    await once(socket, 'connect')
    return socketPipe(socket)
  },
})
