import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { TlsConnection } from './tls-connection.ts'
import { canSpeakTls, tlsServer } from './tls-handshake.ts'
import type { TlsSecrets } from './tls-secrets.ts'

/** Turns of inbound connections before their handshake. */
export interface HandshakeTurns {
  /** Resolves when it is this connection's turn: whether it may go on. */
  turn(address: Multiaddr): Promise<boolean>
}

export interface TlsAcceptorOptions {
  secrets: TlsSecrets
  turns: HandshakeTurns
  onConnection: (connection: TlsConnection) => void
  clock: Clock
  log: Log
}

/** First identity of a hello, and the device whose it is. */
interface Named {
  identity: string
  device: { peer: PeerId; psk: Uint8Array } | null
}

/** Time of a whole handshake, which costs a paired device one round trip. */
const handshakeTimeoutMs = 5_000

/** Listening side of TLS: makes connections of the sockets of paired devices, and ends those of all others. */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions
  readonly #server: Server
  /** Sockets before the end of their handshake, by the names of their ends: Node does not say which one it has secured. */
  readonly #pending = new Map<string, Socket>()
  /** What the hellos named, by socket: a hello that is asked for again names the same. */
  readonly #named = new WeakMap<TLSSocket, Named>()
  #isStopped = false

  constructor(options: TlsAcceptorOptions) {
    this.#options = options
    this.#server = tlsServer((socket, identity) => this.#pskOf(socket, identity), handshakeTimeoutMs)
    this.#server.on('secureConnection', (socket) => this.#secured(socket))
    this.#server.on('tlsClientError', ({ message }, socket) => {
      options.log('debug', 'tls.refused', { address: socket.remoteAddress, error: message })
      socket.destroy()
    })
  }

  /** Takes over a socket whose first byte is that of a TLS record. Never rejects. */
  async accept(socket: Socket): Promise<void> {
    const { turns, clock } = this.#options
    const address = addressOf(socket)
    const ends = endsOf(socket)
    this.#pending.set(ends, socket)
    socket.once('close', () => {
      if (this.#pending.get(ends) === socket) this.#pending.delete(ends)
    })
    const mayGoOn = address !== null && (await turns.turn(address)) && (await canSpeakTls())
    if (!mayGoOn || socket.destroyed || this.#isStopped) {
      socket.destroy()
      return
    }
    // The time limit of Node's own begins anew with every byte.
    const cancelTimer = clock.after(handshakeTimeoutMs, () => {
      if (this.#pending.get(ends) === socket) socket.destroy()
    })
    socket.once('close', cancelTimer)
    this.#server.emit('connection', socket)
  }

  stop(): void {
    this.#isStopped = true
    for (const socket of this.#pending.values()) socket.destroy()
  }

  /** Looks up the first identity of a hello alone: a hello has room for hundreds, and each costs a MAC for every device. */
  #pskOf(socket: TLSSocket, identity: string): Uint8Array | null {
    const before = this.#named.get(socket)
    if (before !== undefined) return before.identity === identity ? (before.device?.psk ?? null) : null
    const device = this.#options.secrets.dialledBy(identity)
    this.#named.set(socket, { identity, device })
    return device?.psk ?? null
  }

  #secured(socket: TLSSocket): void {
    this.#pending.delete(endsOf(socket))
    const remotePeer = this.#named.get(socket)?.device?.peer
    const remoteAddr = addressOf(socket)
    // Nobody gets here without a key; a socket that is gone has no address.
    if (remotePeer === undefined || remoteAddr === null) {
      socket.destroy()
      return
    }
    this.#options.onConnection(new TlsConnection({ socket, remotePeer, remoteAddr, direction: 'inbound' }))
  }
}

/** Address of the other end; null when the socket is gone. */
function addressOf({ remoteAddress, remotePort }: Socket): Multiaddr | null {
  const [ip] = remoteAddress?.split('%') ?? []
  if (ip === undefined || remotePort === undefined) return null
  const ipv4 = ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip
  return multiaddr(`/${ipv4.includes(':') ? 'ip6' : 'ip4'}/${ipv4}/tcp/${remotePort}`)
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  const [remote] = remoteAddress?.split('%') ?? []
  return [remote, remotePort, localAddress, localPort].join(' ')
}
