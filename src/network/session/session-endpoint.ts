import type { Connection, Stream } from '@libp2p/interface'
import type { Session } from './session-contract.ts'
import { acceptSession, openSession, type SessionOptions } from './session.ts'

/** This device's end of all its sessions: opens and accepts them. */
export class SessionEndpoint {
  readonly #options: Omit<SessionOptions, 'signal'>

  constructor(options: Omit<SessionOptions, 'signal'>) {
    this.#options = options
  }

  /** Rejects as `openSession` does. */
  open(connection: Connection, { signal }: { signal: AbortSignal }): Promise<Session> {
    return openSession(connection, { ...this.#options, signal })
  }

  /** Accepts what the other side opens; the caller has checked that the peer is paired. */
  accept(stream: Stream, connection: Connection, { signal }: { signal: AbortSignal }): Promise<Session> {
    return acceptSession(stream, connection, { ...this.#options, signal })
  }
}
