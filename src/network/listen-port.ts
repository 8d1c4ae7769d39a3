import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the range from which Linux, macOS and Windows take the ports of outgoing connections. */
const lowestPort = 20_000
const highestPort = 32_000

/** The one to open in a firewall. IANA has assigned it to nobody; below the range of outgoing connections, too. */
export const defaultListenPort = 28_417

/** A random port that nobody listens on now. */
export async function chooseRandomPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(lowestPort, highestPort)
    if (port !== defaultListenPort && (await isPortFree(port, '0.0.0.0'))) return port
  }
  return 0
}

export async function isPortFree(port: number, host: string): Promise<boolean> {
  return (await checkPort(port, host)) === 'free'
}

/** `forbidden`: only for administrators. Whatever else is wrong with the address shows when listening. */
export async function checkPort(port: number, host: string): Promise<'free' | 'taken' | 'forbidden'> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'EADDRINUSE' ? 'taken' : code === 'EACCES' ? 'forbidden' : 'free')
    })
    server.listen({ port, host, ipv6Only: true, exclusive: true }, () => server.close(() => resolve('free')))
  })
}
