import type { Connection, Stream } from '@libp2p/interface'
import type { SessionConnection, TlsConnection } from '../transport/tls-connection.ts'
import type { Session } from './session-contract.ts'
import { acceptSession, acceptTlsSession, openSession, type SessionOptions } from './session.ts'

/** This device's end of all its sessions: opens and accepts them. */
export class SessionEndpoint {
  readonly #options: Omit<SessionOptions, 'signal'>

  constructor(options: Omit<SessionOptions, 'signal'>) {
    this.#options = options
  }

  /** Rejects as `openSession` does. */
  open(connection: SessionConnection, { signal }: { signal: AbortSignal }): Promise<Session> {
    return openSession(connection, { ...this.#options, signal })
  }

  /** Accepts what the other side opens; the caller has checked that the peer is paired. */
  accept(stream: Stream, connection: Connection, { signal }: { signal: AbortSignal }): Promise<Session> {
    return acceptSession(stream, connection, { ...this.#options, signal })
  }

  /** The same on a TLS connection, whose handshake has checked that. */
  acceptTls(connection: TlsConnection, { signal }: { signal: AbortSignal }): Promise<Session> {
    return acceptTlsSession(connection, { ...this.#options, signal })
  }
}
