import type { Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { untilAborted } from '../abort.ts'
import type { Clock } from '../api.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { TlsConnection } from '../network/transport/tls-connection.ts'
import type { TcpPlace } from '../network/transport/tls-dialer.ts'
import { TlsEndpoint } from '../network/transport/tls-endpoint.ts'
import { tlsServer } from '../network/transport/tls-handshake.ts'
import { TlsSecrets, type PairKeys } from '../network/transport/tls-secrets.ts'
import { SimulatedSocket } from './simulated-socket.ts'

export interface SimulatedTlsOptions {
  localPeer: PeerId
  pairKeys: PairKeys
  clock: Clock
  /** Opens a TCP connection: the sockets at its two ends, of which this host has the first. */
  open: (address: string, signal: AbortSignal) => Promise<SimulatedSocket>
}

/** TLS of a simulated device: all of it is real but the sockets. */
export class SimulatedTls {
  readonly endpoint: TlsEndpoint
  readonly #secrets: TlsSecrets
  readonly #sockets = new Set<SimulatedSocket>()

  constructor({ localPeer, pairKeys, clock, open }: SimulatedTlsOptions) {
    this.#secrets = new TlsSecrets(localPeer, pairKeys)
    this.endpoint = new TlsEndpoint({
      localPeer,
      pairKeys,
      turns: { turn: async () => true },
      openSocket: ({ host, port }: TcpPlace, signal) =>
        untilAborted(open(`/ip4/${host}/tcp/${port}`, signal), signal),
      clock,
      log: () => {},
    })
  }

  /** Adds a socket of this process. */
  add(socket: SimulatedSocket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** Accepts a connection from this address: of a paired device, or nothing comes of it. */
  accept(socket: SimulatedSocket, address: string): void {
    let remotePeer: PeerId | undefined
    const server = tlsServer((_, identity) => {
      const device = this.#secrets.dialledBy(identity)
      remotePeer = device?.peer
      return device?.psk ?? null
    }, neverMs)
    server.once('secureConnection', (secured) => {
      if (remotePeer === undefined || socket.destroyed) return void socket.destroy()
      const remoteAddr = multiaddr(address)
      return this.endpoint.accepted(
        new TlsConnection({ socket: secured, remotePeer, remoteAddr, direction: 'inbound' }),
      )
    })
    server.once('tlsClientError', () => socket.destroy())
    // A server takes any stream; its types know sockets only.
    server.emit('connection', socket as unknown as Socket)
  }

  stop(): void {
    this.endpoint.beforeStop()
  }

  /** Ends with the process. */
  vanish(): void {
    for (const socket of this.#sockets) socket.vanish()
  }
}

/** Time limit of a handshake that the platform's clock would keep: the simulation has its own. */
const neverMs = 2 ** 31 - 1
