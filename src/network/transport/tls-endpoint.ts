import type { Socket } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { PlainDial } from './address-race.ts'
import { FirstBytes } from './first-bytes.ts'
import type { OtherSockets } from './link-local-tcp.ts'
import { TlsAcceptor, type HandshakeTurns } from './tls-acceptor.ts'
import { isTls, type SessionConnection, type TlsConnection } from './tls-connection.ts'
import { TlsDialer, type OpenSocket } from './tls-dialer.ts'
import { TlsSecrets, type PairKeys } from './tls-secrets.ts'

export interface TlsEndpointOptions {
  localPeer: PeerId
  pairKeys: PairKeys
  turns: HandshakeTurns
  /** Opener of the sockets that it dials with. @default by `node:net` */
  openSocket?: OpenSocket
  clock: Clock
  log: Log
}

/** Connections of paired devices that may wait until somebody listens: a host is dialled before its node is ready. */
const maxWaiting = 16
/** Time within which a session has to begin: a hello has as long. */
const unusedMs = 5_000

/** This host's end of all TLS connections with paired devices, whichever side has dialled. */
export class TlsEndpoint implements OtherSockets {
  readonly firstBytes: FirstBytes
  /** Type of the record that a TLS hello comes in; what libp2p speaks begins with 0x13. */
  readonly firstByte = 0x16
  readonly dialer: TlsDialer
  readonly #acceptor: TlsAcceptor
  readonly #open = new Set<TlsConnection>()
  readonly #waiting: TlsConnection[] = []
  readonly #onOpened = new Set<(connection: TlsConnection) => void>()
  readonly #clock: Clock
  #onInbound: ((connection: TlsConnection) => void) | undefined

  constructor({ localPeer, pairKeys, turns, openSocket, clock, log }: TlsEndpointOptions) {
    this.#clock = clock
    this.firstBytes = new FirstBytes({ clock })
    const secrets = new TlsSecrets(localPeer, pairKeys)
    this.dialer = new TlsDialer({ secrets, openSocket, clock, log })
    this.#acceptor = new TlsAcceptor({
      secrets,
      turns,
      clock,
      log,
      onConnection: (connection) => this.accepted(connection),
    })
  }

  /** Open connections, to this device or to all. */
  connections(peer?: PeerId): TlsConnection[] {
    return [...this.#open].filter(
      ({ status, remotePeer }) => status === 'open' && (peer === undefined || peerIdOf(remotePeer) === peer),
    )
  }

  /** Takes over a socket whose first byte is that of a TLS record. */
  accept(socket: Socket): void {
    void this.#acceptor.accept(socket)
  }

  /** Dials one address, by libp2p where the device does not speak TLS. */
  async dial(
    peer: PeerId,
    address: Multiaddr,
    plain: PlainDial,
    options: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    const connection = await this.dialer.dial(peer, address, plain, options)
    if (isTls(connection)) this.#opened(connection)
    return connection
  }

  /** Resolves when this device has opened a connection, or the time is over: whether it has. */
  async comes(
    peer: PeerId,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<boolean> {
    const opened = new AbortController()
    const listener = ({ remotePeer }: TlsConnection): void => {
      if (peerIdOf(remotePeer) === peer) opened.abort()
    }
    this.#onOpened.add(listener)
    if (this.connections(peer).length === 0)
      await pause(this.#clock, timeoutMs, AbortSignal.any([signal, opened.signal]))
    this.#onOpened.delete(listener)
    return this.connections(peer).length > 0
  }

  /** Calls back with every connection that a device opens, on which its session comes. There is one listener. */
  onInbound(listener: (connection: TlsConnection) => void): void {
    this.#onInbound = listener
    for (const connection of this.#waiting.splice(0)) listener(connection)
  }

  /** Calls back with every connection, in either direction. */
  onOpened(listener: (connection: TlsConnection) => void): void {
    this.#onOpened.add(listener)
  }

  /** Part of libp2p, as one of its services: sockets must be gone before a listener can be closed. */
  beforeStop(): void {
    this.firstBytes.stop()
    this.#acceptor.stop()
    for (const connection of this.#open) connection.abort(new Error('this device is shutting down'))
  }

  start(): void {}

  stop(): void {}

  /** Takes a connection that a device has opened, after its handshake. */
  accepted(connection: TlsConnection): void {
    this.#opened(connection)
    if (this.#onInbound !== undefined) this.#onInbound(connection)
    else if (this.#waiting.length < maxWaiting) this.#waiting.push(connection)
    else connection.abort(new Error('too many devices come at once'))
  }

  #opened(connection: TlsConnection): void {
    this.#open.add(connection)
    // Whoever dialled may have found another way meanwhile.
    const cancelTimer = this.#clock.after(unusedMs, () => {
      if (!connection.isUsed) connection.abort(new Error('no session came'))
    })
    connection.onClose(() => {
      cancelTimer()
      this.#open.delete(connection)
    })
    for (const listener of this.#onOpened) listener(connection)
  }
}
