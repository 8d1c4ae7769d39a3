import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { Connection } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../../src/api.ts'
import { systemClock } from '../../../src/clock.ts'
import { createHost } from '../../../src/network/host/create-host.ts'
import type { NetworkHost } from '../../../src/network/host/host.ts'
import type { TlsConnection } from '../../../src/network/transport/tls-connection.ts'
import type { PairKeys } from '../../../src/network/transport/tls-secrets.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'

/** Host on the loopback interface, whose pair keys the test sets. */
export class TlsHost implements AsyncDisposable {
  readonly host: NetworkHost
  /** Connections that devices have opened. */
  readonly inbound: TlsConnection[] = []
  readonly #keys: StatedKeys

  private constructor(host: NetworkHost, keys: StatedKeys) {
    this.host = host
    this.#keys = keys
    host.tls?.onInbound((connection) => this.inbound.push(connection))
  }

  static async start(clock: Clock = systemClock): Promise<TlsHost> {
    const keys = new StatedKeys()
    const host = await createHost({
      seed: randomBytes(32),
      port: 0,
      interfaces: ['lo', 'lo0'],
      agent: 'test',
      tls: { pairKeys: keys, clock, log: () => {} },
    })
    return new TlsHost(host, keys)
  }

  get address(): Multiaddr {
    const [address] = this.host.libp2p.getMultiaddrs().filter((each) => each.toString().startsWith('/ip4/'))
    return address ?? multiaddr('/ip4/127.0.0.1/tcp/0')
  }

  get port(): number {
    return Number(this.address.getComponents()[1]?.value)
  }

  /** Pairs it with another one, from its own point of view. */
  pairWith({ host }: { host: { peerId: PeerId } }, key: Uint8Array): void {
    this.#keys.set(host.peerId, key)
  }

  dial(to: { host: { peerId: PeerId }; address: Multiaddr }): Promise<Connection | TlsConnection> {
    const { tls, peerId } = this.host
    if (tls === null) throw new Error(`${peerId} has no TLS`)
    return tls.dial(to.host.peerId, [to.address], { signal: AbortSignal.timeout(20_000) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host.stop()
  }
}

class StatedKeys implements PairKeys {
  readonly #keys = new Map<PeerId, Uint8Array>()
  #listener: () => void = () => {}

  set(peer: PeerId, key: Uint8Array): void {
    this.#keys.set(peer, key)
    this.#listener()
  }

  pairKeys(): { peer: PeerId; key: Uint8Array }[] {
    return [...this.#keys].map(([peer, key]) => ({ peer, key }))
  }

  onPairKeysChanged(listener: () => void): void {
    this.#listener = listener
  }
}

/** Sends bytes to a port, and resolves with all that comes back until the other side has closed. */
export async function answerTo(port: number, bytes: Uint8Array): Promise<Buffer> {
  const { socket, answer } = talkTo(port)
  socket.write(bytes)
  return answer
}

/** Socket to a port, and all that comes over it until it is closed. */
export function talkTo(port: number): { socket: Socket; answer: Promise<Buffer> } {
  const socket = connect({ port, host: '127.0.0.1' })
  const { promise: answer, resolve } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('close', () => resolve(Buffer.concat(chunks)))
  return { socket, answer }
}
