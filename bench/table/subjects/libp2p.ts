import type { Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { overPipes } from './over-pipes.ts'
import { host, type Pipe } from './subject.ts'

const protocol = '/bench/1'

/** js-libp2p as it comes: TCP, Noise, Yamux, all by their defaults. */
export default overPipes({
  listen: async (onPipe) => {
    const node = await create()
    await node.handle(protocol, (stream) => onPipe(streamPipe(stream)))
    return String(node.getMultiaddrs()[0])
  },
  connect: async (address) => {
    const node = await create()
    const connection = await node.dial(multiaddr(address))
    return async () => streamPipe(await connection.newStream(protocol))
  },
})

async function create(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: [`/ip4/${host}/tcp/0`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
}

function streamPipe(stream: Stream): Pipe {
  return {
    write: (bytes) => (stream.send(bytes) ? undefined : stream.onDrain()),
    read: (onBytes) =>
      stream.addEventListener('message', ({ data }) => {
        onBytes(data instanceof Uint8Array ? data : data.subarray())
      }),
  }
}
