import { identify } from '@libp2p/identify'
import type { Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { Libp2pRecord } from '@libp2p/record'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { base58 } from '@scure/base'
import { createLibp2p, type Libp2p } from 'libp2p'
import { privateDhtProtocol } from '../../src/network/dht/dht-protocols.ts'

import { bytesOf, decode, encode, field } from './protobuf.ts'

export interface InventedPeer {
  /** Base58btc. */
  peer: string
  /** Multiaddrs. */
  addresses: readonly string[]
}

/** What a question is answered with. `value`: of the record; `record: null` for none. */
export interface HostileAnswer {
  value?: Uint8Array | null
  /** "Ask these, they are closer." */
  closer?: readonly InventedPeer[]
}

export interface HostileDhtOptions {
  /** For every record that is asked for. */
  answer: (routingKey: Uint8Array) => HostileAnswer | Promise<HostileAnswer>
  /** @default ['/ip4/127.0.0.1/tcp/0'] */
  listen?: readonly string[]
  /** @default the private DHT's */
  protocol?: string
  /** Where the identity comes from. @default a random one */
  create?: Partial<Parameters<typeof createLibp2p>[0]>
}

/** A record that somebody wrote here, or asked for. */
export interface Overheard {
  /** Base58btc. */
  peer: string
  routingKey: Uint8Array
  /** Null for a question. */
  value: Uint8Array | null
}

/**
 * A DHT server written to do harm: it speaks the protocol (https://github.com/libp2p/specs/tree/master/kad-dht#rpc-messages),
 * checks nothing, remembers all it hears and answers what it likes.
 */
export class HostileDht {
  readonly libp2p: Libp2p
  readonly overheard: Overheard[] = []

  private constructor(libp2p: Libp2p) {
    this.libp2p = libp2p
  }

  static async start(options: HostileDhtOptions): Promise<HostileDht> {
    const { answer, listen = ['/ip4/127.0.0.1/tcp/0'], protocol = privateDhtProtocol, create = {} } = options
    const libp2p = await createLibp2p({
      // libp2p itself does not tell a public address of its interface.
      addresses: { listen: [...listen], announce: listen.filter((address) => !address.endsWith('/tcp/0')) },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify(), ping: ping() },
      connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 1_000 },
      connectionGater: { denyDialMultiaddr: () => false },
      ...create,
    })
    const server = new HostileDht(libp2p)
    await libp2p.handle(
      protocol,
      (stream, { remotePeer }) => server.#serve(stream, remotePeer.toString(), answer),
      { maxInboundStreams: 10_000 },
    )
    return server
  }

  get peerId(): string {
    return this.libp2p.peerId.toString()
  }

  /** Ends in /p2p/PEERID. */
  get address(): string {
    return String(this.libp2p.getMultiaddrs()[0])
  }

  async stop(): Promise<void> {
    await this.libp2p.stop()
  }

  /** Asks a DHT server to store a record; whether it says that it did. */
  async put(server: string, routingKey: Uint8Array, value: Uint8Array): Promise<boolean> {
    const record = new Libp2pRecord(routingKey, value, new Date()).serialize()
    const answer = await this.#ask(
      server,
      encode([field(1, types.put), field(2, routingKey), field(3, record)]),
    )
    return answer !== null
  }

  /** The value that a DHT server has under a key. */
  async get(server: string, routingKey: Uint8Array): Promise<Uint8Array | null> {
    const answer = await this.#ask(server, encode([field(1, types.get), field(2, routingKey)]))
    const record = answer === null ? undefined : decode(answer).get(3)
    return record instanceof Uint8Array ? Libp2pRecord.deserialize(record).value : null
  }

  /** Asks a DHT server anything about a key; whether its answer holds a peer or a record. */
  async isTold(server: string, question: 'get' | 'findNode', key: Uint8Array): Promise<boolean> {
    const answer = await this.#ask(server, encode([field(1, types[question]), field(2, key)]))
    if (answer === null) return false
    const message = decode(answer)
    return message.has(3) || message.has(8)
  }

  async #ask(server: string, message: Uint8Array): Promise<Uint8Array | null> {
    const connection = await this.libp2p.dial(multiaddr(server))
    const stream = await connection.newStream(privateDhtProtocol)
    const signal = AbortSignal.timeout(10_000)
    try {
      const messages = lpStream(stream)
      await messages.write(message, { signal })
      return (await messages.read({ signal })).subarray()
    } catch {
      return null
    } finally {
      stream.abort(new Error('asked'))
    }
  }

  async #serve(stream: Stream, peer: string, answer: HostileDhtOptions['answer']): Promise<void> {
    const messages = lpStream(stream)
    try {
      for (;;) {
        const bytes = (await messages.read()).subarray()
        const message = decode(bytes)
        const type = Number(message.get(1) ?? types.put)
        const routingKey = bytesOf(message.get(2))
        if (type === types.put) {
          const { value } = Libp2pRecord.deserialize(bytesOf(message.get(3)))
          this.overheard.push({ peer, routingKey, value })
          await messages.write(bytes)
        } else if (type === types.get) {
          this.overheard.push({ peer, routingKey, value: null })
          await messages.write(answerMessage(routingKey, await answer(routingKey)))
        } else
          await messages.write(
            answerMessage(routingKey, type === types.findNode ? await answer(routingKey) : {}, type),
          )
      }
    } catch {
      // The other side has heard enough.
    }
  }
}

/** `Message.MessageType` of the specification. */
const types = { put: 0, get: 1, findNode: 4 }

function answerMessage(
  routingKey: Uint8Array,
  { value = null, closer = [] }: HostileAnswer,
  type = types.get,
): Uint8Array {
  const record = value === null ? [] : [field(3, new Libp2pRecord(routingKey, value, new Date()).serialize())]
  const peers = closer.map(({ peer, addresses }) => {
    const list = addresses.map((address) => field(2, multiaddr(address).bytes))
    return field(8, encode([field(1, base58.decode(peer)), ...list]))
  })
  return encode([field(1, type), field(2, routingKey), ...record, ...peers])
}
