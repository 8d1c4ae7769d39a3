import type { TLSSocket } from 'node:tls'
import { untilAborted } from '../../abort.ts'
import type { TlsConnection } from '../transport/tls-connection.ts'
import type { SessionTransport, TransportListener } from './session-transport.ts'

/**
 * TLS connection under a session, which it carries alone: its frames are what TLS encrypts, in C++. It ends with the session. That
 * it ends says nothing, since anybody on the way can end it: whatever has to be complete has a frame that says so.
 */
export class TlsTransport implements SessionTransport {
  readonly #connection: TlsConnection
  readonly #socket: TLSSocket
  #listener: TransportListener | undefined

  constructor(connection: TlsConnection) {
    this.#connection = connection
    this.#socket = connection.socket
    connection.isUsed = true
  }

  get canWrite(): boolean {
    return this.#socket.writableLength === 0
  }

  listen(listener: TransportListener): void {
    const socket = this.#socket
    this.#listener = listener
    socket.on('data', ({ buffer, byteOffset, byteLength }: Buffer) =>
      listener.received(new Uint8Array(buffer, byteOffset, byteLength)),
    )
    socket.once('end', () => listener.finished())
    socket.once('close', () => listener.closed(this.#connection.error))
    socket.pause()
    if (socket.destroyed) listener.closed(this.#connection.error)
  }

  write(bytes: Uint8Array): void {
    // TLS encrypts before `write` returns, since nothing waits before it. It calls back also when the socket has failed, which
    // 'close' tells.
    this.#socket.write(bytes, () => this.#listener?.writable())
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async close({ signal }: { signal: AbortSignal }): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.end(() => resolve())
    this.#socket.once('close', () => resolve())
    await untilAborted(promise, signal)
  }

  abort(error: Error): void {
    this.#connection.abort(error)
  }
}
