import { randomUUID } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Connection, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { libp2pPeer } from '../../libp2p-peer.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** What a session runs over: a connection of libp2p, which may carry other streams too, or a TLS connection of its own. */
export type SessionConnection = Connection | TlsConnection

export interface TlsConnectionOptions {
  /** Socket after its handshake. */
  socket: TLSSocket
  /** Device whose pair key both sides have proved by the handshake. */
  remotePeer: PeerId
  remoteAddr: Multiaddr
  direction: 'inbound' | 'outbound'
}

/**
 * TLS connection between two paired devices: PROTOCOL.md, "Sessions over TLS". Named like libp2p's own where it means the same. It
 * carries one session, which the side that dialled opens, and ends with it.
 */
export class TlsConnection {
  readonly id: string = randomUUID()
  readonly socket: TLSSocket
  readonly remotePeer: Libp2pPeerId
  readonly remoteAddr: Multiaddr
  readonly direction: 'inbound' | 'outbound'
  /** Streams of libp2p: none. */
  readonly streams: Stream[] = []
  /** No limits: it leads over no relay. */
  readonly limits = undefined
  /** Secret of this connection (RFC 9266, `tls-exporter`), 32 bytes: two ends that have the same have nobody in between. */
  readonly binding: Uint8Array
  /** Whether a session runs over it, or has. */
  isUsed = false
  #error: Error | undefined
  #isOver = false

  constructor({ socket, remotePeer, remoteAddr, direction }: TlsConnectionOptions) {
    this.socket = socket
    this.remotePeer = libp2pPeer(remotePeer)
    this.remoteAddr = remoteAddr
    this.direction = direction
    this.binding = Uint8Array.from(socket.exportKeyingMaterial(bindingBytes, bindingLabel, Buffer.alloc(0)))
    socket.setNoDelay(true)
    socket.on('error', (error) => (this.#error ??= error))
    socket.once('close', () => (this.#isOver = true))
  }

  get status(): 'open' | 'closed' {
    return this.#isOver || this.socket.destroyed ? 'closed' : 'open'
  }

  /** Error that it has ended with. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Calls back when it is closed; at once, if it is by now. */
  onClose(listener: () => void): void {
    if (this.socket.closed) listener()
    else this.socket.once('close', listener)
  }

  abort(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#error ??= error
    const { socket } = this
    if (!socket.writableFinished) socket.destroy()
    else linger(socket)
  }

  async close(): Promise<void> {
    this.abort(new Error('the connection is not needed any more'))
  }
}

export function isTls(connection: SessionConnection): connection is TlsConnection {
  return connection instanceof TlsConnection
}

/**
 * Lets the other side read what it was sent before this one closed in order: a socket that is destroyed with unread bytes resets
 * the connection, and the last words with it.
 */
function linger(socket: TLSSocket): void {
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

const bindingLabel = 'EXPORTER-Channel-Binding'
const bindingBytes = 32
const lingerMs = 1_000
