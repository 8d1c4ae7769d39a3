import type { Connection } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import type { Session } from '../session/session.ts'
import { endSilent, probe } from './probe.ts'

export interface LeftoversOptions {
  clock: Clock
  /** Of the session in use; undefined when there is none. */
  used: () => Connection | undefined
  /** All connections to the device. */
  connections: () => readonly Connection[]
}

/** What is left of one device beside the session in use: sessions that were replaced, and connections that carry nothing. */
export class Leftovers {
  readonly #options: LeftoversOptions
  readonly #retiring = new Set<Session>()
  #cancelTidying: () => void = () => {}
  #stopped = false

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /**
   * Ends a session that was replaced without losing what is under way on it: not before the other side uses the new one, lest
   * it asks on one that is closing, and not while anything on it moves. One that is dead ends at once. Never rejects.
   */
  async retire(previous: Session, next: Session, isTakenIn: Promise<unknown>): Promise<void> {
    this.#retiring.add(previous)
    const [oldest] = this.#retiring
    if (this.#retiring.size > maxRetiring) oldest?.abort(tooMany())
    await isTakenIn
    // One that is closing already may still have to answer.
    if ((await probe(previous)) === 'silent') endSilent(previous, next.connection)
    else await previous.close({ stallMs: retirementStallMs })
    this.#retiring.delete(previous)
    this.tidySoon()
  }

  /**
   * Both sides may have dialled at once, and a relay's bandwidth is not ours: what carries nothing beside the connection of the
   * session is closed, in a while, when nobody is about to use it any more.
   */
  tidySoon(): void {
    if (this.#stopped) return
    this.#cancelTidying()
    this.#cancelTidying = this.#options.clock.after(tidyingMs, () => {
      const used = this.#options.used()
      if (used === undefined) return
      for (const connection of this.#options.connections()) {
        const isIdle = connection.status === 'open' && connection.streams.length === 0
        if (connection !== used && isIdle) connection.close().catch(() => {})
      }
    })
  }

  /** Tidies no more. What still retires goes on. */
  stop(): void {
    this.#stopped = true
    this.#cancelTidying()
  }

  abort(error: Error): void {
    for (const session of this.#retiring) session.abort(error)
  }
}

function tooMany(): SpacedockError {
  return new SpacedockError('interrupted', 'The connection was replaced too many times.')
}

/** More than the paths change while a stream lasts: one who replaces sessions without end does not keep them all. */
const maxRetiring = 16
const tidyingMs = 2_000
/** What moves is never cut, and silence ends it at any time; this ends what hangs, of an application that has forgotten it. */
const retirementStallMs = 600_000
