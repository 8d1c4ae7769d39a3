import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Lowest port chosen at random. The range lies below the ephemeral ports of Linux, macOS and Windows. */
const lowestPort = 20_000
const highestPort = 32_000

/** Default port, for firewall rules: not assigned by IANA, and below the ephemeral ports, too. */
export const defaultListenPort = 28_417

/** Returns a random port that is free now. */
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

/** Checks a port; `forbidden`: privileged. Other faults of the address show when listening. */
export async function checkPort(port: number, host: string): Promise<'free' | 'taken' | 'forbidden'> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'EADDRINUSE' ? 'taken' : code === 'EACCES' ? 'forbidden' : 'free')
    })
    server.listen({ port, host, ipv6Only: true, exclusive: true }, () => server.close(() => resolve('free')))
  })
}
