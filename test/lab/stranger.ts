import { fileURLToPath } from 'node:url'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Host } from './lab.ts'

/** What a device, at this address, tells a stranger on that host of its own addresses: a libp2p program that only asks. */
export async function toldToStranger(host: Host, address: string): Promise<string[]> {
  const { code, stdout, stderr } = await host.run(['node', fileURLToPath(import.meta.url), address])
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as string[]
}

async function ask(address: string): Promise<void> {
  const libp2p = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  const answered = new Promise<string[]>((resolve) => {
    libp2p.addEventListener('peer:identify', ({ detail }) => resolve(detail.listenAddrs.map(String)))
  })
  await libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(20_000) })
  console.log(JSON.stringify(await answered))
  await libp2p.stop()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ask(process.argv[2] ?? '')
