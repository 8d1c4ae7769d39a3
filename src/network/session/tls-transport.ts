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
  #isPaused = true

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
    socket.on('data', this.#received)
    this.#takeShortcut()
    socket.once('end', () => listener.finished())
    socket.once('close', () => listener.closed(this.#connection.error))
    socket.pause()
    if (socket.destroyed) listener.closed(this.#connection.error)
  }

  write(bytes: Uint8Array): void {
    // TLS encrypts before `write` returns, since nothing waits before it. It calls back also when the socket has failed, which
    // 'close' tells.
    this.#socket.write(bytes, this.#left)
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
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

  readonly #left = (): void => this.#listener?.writable()

  readonly #received = ({ buffer, byteOffset, byteLength }: Buffer): void =>
    this.#listener?.received(new Uint8Array(buffer, byteOffset, byteLength))

  /**
   * Takes what arrives from where Node hands it to the stream of the socket, while nothing lies there: the way through it, to the
   * event `data`, costs a tick for each record and a third of a round trip's time on this side. A Node that hands it over in
   * another manner still emits the event.
   */
  #takeShortcut(): void {
    const socket = this.#socket
    const push = socket.push.bind(socket)
    socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      if (chunk === null || this.#isPaused || socket.readableLength > 0) return push(chunk, encoding)
      this.#received(chunk)
      return true
    }
  }
}
