import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { decodeMessage, encodeMessage, type PairingMessage } from '../../src/pairing/pairing-messages.ts'

export const pairingProtocol = '/spacedock/pairing/1.0.0'

export type Served = (
  message: PairingMessage,
  peer: string,
) => PairingMessage | null | 'hang' | Promise<PairingMessage | null>

export interface RawPeerOptions {
  /** Of an identity that was stolen. @default a new one */
  seed?: Uint8Array
  port?: number
}

/** A stock libp2p host that knows the protocol's messages and none of its rules. */
export class RawPeer {
  readonly libp2p: Libp2p

  private constructor(libp2p: Libp2p) {
    this.libp2p = libp2p
  }

  static async start({ seed, port = 0 }: RawPeerOptions = {}): Promise<RawPeer> {
    const libp2p = await createLibp2p({
      ...(seed === undefined ? {} : { privateKey: await generateKeyPairFromSeed('Ed25519', seed) }),
      addresses: { listen: [`/ip4/127.0.0.1/tcp/${port}`] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 10_000 },
      connectionGater: { denyDialMultiaddr: () => false },
    })
    return new RawPeer(libp2p)
  }

  get peerId(): string {
    return this.libp2p.peerId.toString()
  }

  get address(): string {
    return String(this.libp2p.getMultiaddrs()[0])
  }

  async stop(): Promise<void> {
    await this.libp2p.stop()
  }

  async connect(address: string, options: { force?: boolean } = {}): Promise<Connection> {
    return this.libp2p.dial(multiaddr(address), options)
  }

  async open(address: string, protocol: string, connection?: Connection): Promise<Stream> {
    const options = { maxOutboundStreams: 10_000 }
    if (connection !== undefined) return connection.newStream(protocol, options)
    try {
      return await (await this.connect(address)).newStream(protocol, options)
    } catch {
      // The other side has gone since, and perhaps come back: libp2p hands out a dead connection once.
      return (await this.connect(address, { force: true })).newStream(protocol, options)
    }
  }

  /** Sends a pairing message, or any bytes, on a stream of its own; null when no answer came: silence. */
  async ask(
    address: string,
    message: PairingMessage | Uint8Array,
    options: { connection?: Connection; protocol?: string } = {},
  ): Promise<PairingMessage | null> {
    const answer = await this.askBytes(address, message, options)
    return answer === null ? null : decodeMessage(answer)
  }

  async askBytes(
    address: string,
    message: PairingMessage | Uint8Array,
    { connection, protocol = pairingProtocol }: { connection?: Connection; protocol?: string } = {},
  ): Promise<Uint8Array | null> {
    const stream = await this.open(address, protocol, connection)
    const answer = readToEnd(stream)
    try {
      stream.send(message instanceof Uint8Array ? message : encodeMessage(message))
      await stream.close({ signal: AbortSignal.timeout(15_000) })
    } catch {
      // Reset already: the answer is silence.
    }
    return answer
  }

  /** Answers pairing messages; null resets the stream, 'hang' leaves it open without a word. */
  async serve(serve: Served): Promise<void> {
    await this.libp2p.handle(
      pairingProtocol,
      async (stream, connection) => {
        const question = await readToEnd(stream)
        const message = question === null ? null : decodeMessage(question)
        const answer = message === null ? null : await serve(message, connection.remotePeer.toString())
        if (answer === 'hang') return
        if (answer === null) stream.abort(new Error('no answer'))
        else {
          stream.send(encodeMessage(answer))
          await stream.close().catch(() => {})
        }
      },
      { maxInboundStreams: 10_000 },
    )
  }
}

/** What the other side wrote before it closed its side; null when it wrote nothing or reset the stream. */
export function readToEnd(stream: Stream, patienceMs = 15_000): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    const timer = setTimeout(() => settle(null), patienceMs)
    const settle = (outcome: Uint8Array | null): void => {
      clearTimeout(timer)
      resolve(outcome !== null && outcome.length > 0 ? outcome : null)
    }
    // It may be over before anybody looked; what has arrived is then still to be read.
    let finished = stream.status === 'open' && stream.remoteWriteStatus === 'closed'
    stream.addEventListener('remoteCloseWrite', () => {
      finished = true
    })
    stream.addEventListener('end', () => settle(finished ? Buffer.concat(chunks) : null))
    stream.addEventListener('close', () => settle(null))
    stream.addEventListener('message', (event) => {
      chunks.push(event.data.subarray().slice())
      if (stream.readableEnded && finished) settle(Buffer.concat(chunks))
    })
    if (stream.readableEnded && stream.readBufferLength === 0) settle(Buffer.concat(chunks))
    if (stream.status !== 'open') settle(null)
  })
}
