import type { Clock } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import type { Session, SessionEnd } from '../session/session.ts'
import { isTls, type SessionConnection } from '../transport/tls-connection.ts'
import { choose, type Candidate } from './choice.ts'

export interface DeviceSessionsOptions {
  clock: Clock
  /** Whether this device says goodbye on all sessions but one; the other one follows. */
  isChooser: boolean
  /** Connections to the device. */
  connections: () => readonly SessionConnection[]
  /** Called when new work goes to another session. */
  onUsed: (session: Session) => void
  /** Called when there is none for new work any more, with the end of the last. */
  onNone: (end: SessionEnd) => void
  /** Called when the session in use comes into doubt, or out of it. */
  onDoubt: () => void
}

/**
 * Sessions with one device. New work goes to one of them; calls begun on another end there, in their own time. So a session is
 * never cut because there is a better one: only silence ends it, or the loss of its connection.
 */
export class DeviceSessions {
  readonly #options: DeviceSessionsOptions
  /** Sessions in the order in which they were opened. */
  #sessions: Held[] = []
  #used: Held | undefined
  #wasDoubtful = false
  /** End that is reported when somebody says goodbye on the last one. */
  #endTold: SessionEnd = { reason: 'remote-closed' }
  #cancelTidying: () => void = () => {}

  constructor(options: DeviceSessionsOptions) {
    this.#options = options
  }

  /** Session that new work goes to. */
  get used(): Session | undefined {
    return this.#used?.session
  }

  get all(): Session[] {
    return this.#sessions.map(({ session }) => session)
  }

  /** Adds a session, opened by either side. */
  add(session: Session): void {
    const { remoteInstance, connection } = session
    const stale = this.#sessions.filter((each) => each.session.remoteInstance !== remoteInstance)
    this.#sessions = this.#sessions.filter((each) => !stale.includes(each))
    this.#sessions.push(new Held(session))
    session.watch(() => this.#reconsider())
    void session.closed.then((end) => this.#ended(session, end))
    this.#endOldest()
    this.#reconsider()
    for (const each of stale) endDead(each.session, connection)
    // The new session's fate depends on whether the one in use is alive.
    if (this.used !== session) void this.#settle()
  }

  /** Checks all of them: there is reason to doubt that they are alive. */
  check(): void {
    for (const { session } of this.#sessions) session.check()
  }

  /** Says goodbye on all of them; a second at most. Never rejects. */
  async close(): Promise<void> {
    this.#endTold = { reason: 'closed' }
    await Promise.all(this.all.map((session) => session.close()))
  }

  /** Ends all of them at once. */
  abort(error: Error, end: SessionEnd = { reason: 'aborted', cause: error }): void {
    const { all, used } = this
    this.#cancelTidying()
    this.#sessions = []
    this.#used = undefined
    for (const session of all) session.abort(error)
    if (used !== undefined) this.#options.onNone(end)
  }

  /**
   * Closes connections that carry nothing, beside that of the session in use, after a while, when nobody is about to use them any
   * more: both sides may have dialled at once, and a relay's bandwidth is not ours.
   */
  tidySoon(): void {
    this.#cancelTidying()
    this.#cancelTidying = this.#options.clock.after(tidyingMs, () => {
      const used = this.used?.connection
      if (used === undefined) return
      for (const connection of this.#options.connections()) {
        // A TLS connection ends with its session.
        if (connection === used || isTls(connection) || connection.status !== 'open') continue
        if (connection.streams.length === 0) connection.close().catch(() => {})
      }
    })
  }

  #reconsider(end: SessionEnd = this.#endTold): void {
    const before = this.#used
    this.#used = choose(this.#sessions, before)
    const isDoubtful = this.#used?.isDoubtful ?? false
    const doubtChanged = isDoubtful !== this.#wasDoubtful
    this.#wasDoubtful = isDoubtful
    if (this.#used !== undefined && !isDoubtful) {
      for (const each of this.#sessions) if (each.isDoubtful) each.session.forsake()
    }
    if (this.#used !== before) {
      if (this.#used === undefined) this.#options.onNone(end)
      else this.#options.onUsed(this.#used.session)
      void this.#settle()
    }
    if (doubtChanged) this.#options.onDoubt()
  }

  /**
   * Makes sure that the session in use answers, which is also the first measurement of its round trip. When it does, the other
   * side has taken it in: only then is it told to leave the others, lest it have none for a moment. Never rejects.
   */
  async #settle(): Promise<void> {
    const { used } = this
    if (used === undefined) return
    used.check()
    const answers = await used.ping().then(
      () => true,
      () => false,
    )
    if (!answers || this.used !== used) return
    if (this.#options.isChooser) {
      for (const each of this.#sessions) if (each !== this.#used && !each.isLeaving) void each.session.drain()
    }
    this.tidySoon()
  }

  #ended(session: Session, end: SessionEnd): void {
    if (!this.all.includes(session)) return
    this.#sessions = this.#sessions.filter((each) => each.session !== session)
    const isShared = this.all.some(({ connection }) => connection === session.connection)
    if (end.reason === 'silent' && !isShared) session.connection.abort(silent())
    if (end.reason === 'revoked') {
      return this.abort(new SpacedockError('not-paired', 'The other device has revoked this one.'), end)
    }
    this.#reconsider(end)
    return this.tidySoon()
  }

  #endOldest(): void {
    const beside = this.#sessions.filter((each) => each !== this.#used)
    if (beside.length > maxBeside) beside[0]?.session.abort(tooMany())
  }
}

class Held implements Candidate {
  readonly session: Session
  readonly isRelayed: boolean

  constructor(session: Session) {
    this.session = session
    this.isRelayed = isRelayedConnection(session.connection)
  }

  get isLeaving(): boolean {
    return this.session.isLeaving
  }

  get isDoubtful(): boolean {
    return this.session.isDoubtful
  }
}

/** Ends a session at whose other end nobody is, with its connection unless that is `living`, known to be alive. */
function endDead(session: Session, living: SessionConnection): void {
  const restarted = new SpacedockError('interrupted', 'The other device was restarted.')
  session.abort(restarted)
  if (session.connection !== living) session.connection.abort(restarted)
}

function silent(): SpacedockError {
  return new SpacedockError('offline', 'The device fell silent.')
}

function tooMany(): SpacedockError {
  return new SpacedockError('interrupted', 'The connection was replaced too many times.')
}

/**
 * Limit of sessions beside the one in use: more than path changes during a stream, but a peer that opens sessions without end
 * does not keep them all.
 */
const maxBeside = 16
const tidyingMs = 2_000
