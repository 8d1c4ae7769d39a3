import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { overPipes } from './over-pipes.ts'
import { socketPipe } from './sockets.ts'
import { host } from './subject.ts'

/** A key and a certificate for `localhost` that protect nothing: anybody can read them. */
const pem = readFileSync(new URL('localhost.pem', import.meta.url))

export default overPipes({
  listen: async (onPipe) => {
    const server = createServer({ key: pem, cert: pem, minVersion: 'TLSv1.3', noDelay: true }, (socket) =>
      onPipe(socketPipe(socket)),
    )
    await once(server.listen(0, host), 'listening')
    return String((server.address() as AddressInfo).port)
  },
  connect: async (port) => async () => {
    const socket = connect({ host, port: Number(port), ca: pem, servername: 'localhost' })
    await once(socket, 'secureConnect')
    socket.setNoDelay(true)
    return socketPipe(socket)
  },
})
