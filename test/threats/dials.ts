import { Socket } from 'node:net'
import os from 'node:os'
import { syncBuiltinESMExports } from 'node:module'

type Connect = (this: Socket, ...args: unknown[]) => Socket

/** Every connection that this process begins to open, as `host:port`, from now on. Only those to this machine leave it. */
export function recordDials(): string[] {
  const dials: string[] = []
  const original = Object.getOwnPropertyDescriptor(Socket.prototype, 'connect')?.value as Connect
  const connect = function (this: Socket, ...args: unknown[]): Socket {
    const [options] = (Array.isArray(args[0]) ? args[0] : args) as [{ host?: string; port?: number }]
    const { host, port } = options
    if (host === undefined || port === undefined) return original.apply(this, args)
    dials.push(`${host}:${port}`)
    if (/^(?:localhost$|127\.|::1$|::ffff:127\.|::ffff:7f)/u.test(host)) return original.apply(this, args)
    process.nextTick(() => this.destroy(new Error('not in this test')))
    return this
  }
  Socket.prototype.connect = connect
  return dials
}

/** Has this machine look as if the loopback interface were a network card: what comes from elsewhere is not from here. */
export function pretendToHaveACard(name: string): void {
  const list = os.networkInterfaces.bind(os)
  os.networkInterfaces = () => {
    const loopback = Object.values(list())
      .flatMap((infos) => infos ?? [])
      .find(({ family, internal }) => internal && family === 'IPv4')
    return loopback === undefined ? {} : { [name]: [{ ...loopback, internal: false }] }
  }
  syncBuiltinESMExports()
}
