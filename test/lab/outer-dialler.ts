import { noise } from '@libp2p/noise'
import { tcp, type TCPComponents } from '@libp2p/tcp'
import type { Transport } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createInterface } from 'node:readline'
import { systemClock } from '../../src/clock.ts'
import { OuterDials } from '../../src/network/relay/outer-dials.ts'

/** Prints its peer id and port, then dials the outer address that it reads, and prints what comes of it. */
const dials = new OuterDials(systemClock)
let direct: Transport | undefined
const directTcp = (components: TCPComponents): Transport => (direct = tcp()(components))
const host = await createLibp2p({
  transports: [directTcp, dials.transport(() => direct as Transport)],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  services: { dials: () => dials },
})
await host.handle('/test/nothing', (stream) => stream.abort(new Error('nothing')))
const write = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
host.addEventListener('connection:open', ({ detail }) =>
  write({ event: 'open', direction: detail.direction, address: detail.remoteAddr.toString() }),
)
write({ event: 'started', peer: host.peerId.toString(), port: dials.port })
for await (const line of createInterface(process.stdin)) {
  const startedAt = performance.now()
  host.dial(multiaddr(line), { signal: AbortSignal.timeout(20_000) }).then(
    () => write({ event: 'connected', tookMs: performance.now() - startedAt }),
    (error: unknown) => write({ event: 'failed', error: String(error) }),
  )
}
