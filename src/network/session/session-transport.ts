import type { SpacedockError } from '../../errors.ts'

/**
 * Where a session gets its bytes from, and leaves its own: a libp2p stream (`stream-transport.ts`), or a TLS connection that
 * carries nothing else (`tls-transport.ts`). Both are ordered and encrypted, and end once.
 */
export interface SessionTransport {
  /** Whether all that was written has left: until then nothing should be written. */
  readonly canWrite: boolean
  /** Begins to tell the listener, of what has happened before, too. There is one. */
  listen(listener: TransportListener): void
  /** Writes bytes, which may change when this has returned. Only while `canWrite`. */
  write(bytes: Uint8Array): void
  /** Holds what arrives; at most a window of it. */
  pause(): void
  resume(): void
  /** Closes the write side; resolves when all that was written has left. */
  close(options: { signal: AbortSignal }): Promise<void>
  /** Ends both directions at once; what the other side has not been sent by then is lost. */
  abort(error: Error): void
}

export interface TransportListener {
  /** The bytes are the listener's: nobody else reads or writes them. */
  received(bytes: Uint8Array): void
  /** All has been received: the other side has closed its write side. */
  finished(): void
  /** Nothing passes any more, in either direction. */
  closed(error: Error | SpacedockError | undefined): void
  /** What was written has left, so that `canWrite` may have changed. */
  writable(): void
}
