import type { Connection, PeerId } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import type { AttemptSignals } from './attempt-schedule.ts'
import { AttemptSchedule } from './attempt-schedule.ts'
import type { AttemptMeans } from './connection-attempt.ts'
import { attemptConnection } from './connection-attempt.ts'
import { startDeadline, untilAborted } from '../deadline.ts'
import { arbitrate } from './arbitration.ts'
import { dialFailure, endFailure } from './failures.ts'
import { Leftovers } from './leftovers.ts'
import { endDead, endSilent, probe } from './probe.ts'
import type { Session, SessionEnd } from '../session/session.ts'
import { watchForSleep } from './sleep-watch.ts'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'

export interface ConnectionSupervisorOptions extends AttemptMeans {
  localPeer: PeerId
  /** The devices to keep connected, in the order in which they are tried. */
  devices: () => readonly PeerId[]
  /** Whether it is one of them. */
  isDevice: (peerId: PeerId) => boolean
  /** A session is in use: the device's first, or one that takes the place of another. */
  onSession: (session: Session) => void
  /** The device has no session any more. `failure` tells a person why; null when this side ended it, in order. */
  onSessionEnded: (peerId: PeerId, end: SessionEnd, failure: SpacedockError | null) => void
  /** The message tells a person why. */
  onAttemptFailed?: (peerId: PeerId, failure: SpacedockError) => void
  /** The device says that it does not know this one, or has revoked it: it is not tried again before `connectNow`. */
  onUnknownDevice: (peerId: PeerId, failure: SpacedockError) => void
  /** The machine slept: what else waits for something may look at once. */
  onWake?: () => void
  /** In [0, 1). @default Math.random */
  random?: () => number
  clock?: Clock
}

interface Kept {
  peerId: PeerId
  session: { current: Session; sinceMs: number } | undefined
  needsPairing: boolean
  /** Newcomers are dealt with one after the other. */
  admissions: Promise<unknown>
  leftovers: Leftovers
}

/** Keeps every paired device connected, for ever, with exactly one session each. */
export class ConnectionSupervisor {
  readonly #options: ConnectionSupervisorOptions
  readonly #clock: Clock
  readonly #attempts: AttemptSchedule
  readonly #kept = new Map<string, Kept>()
  readonly #dropping = new Map<string, Promise<void>>()
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #stopSleepWatch: () => void = () => {}

  constructor(options: ConnectionSupervisorOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#attempts = new AttemptSchedule({
      clock: this.#clock,
      random: options.random ?? Math.random,
      attempt: (peerId, signals) => this.#attempt(peerId, signals),
    })
  }

  /** Starts to connect to every device. */
  start(): void {
    if (this.#phase !== 'new') return
    this.#phase = 'running'
    this.#stopSleepWatch = watchForSleep(this.#clock, () => this.#wake())
    const devices = this.#options.devices()
    for (const peerId of devices) this.#keep(peerId)
    this.#attempts.restart(devices)
  }

  /** Ends all attempts and says goodbye on all sessions; takes two seconds at most. It cannot be started again. */
  async stop(): Promise<void> {
    this.#phase = 'stopped'
    this.#stopSleepWatch()
    const closed = new SpacedockError('closed', 'This device is shutting down.')
    const kept = [...this.#kept.values()]
    for (const { leftovers } of kept) leftovers.stop()
    const sessions = kept.flatMap(({ session }) => session?.current ?? [])
    const goodbyes = Promise.all(sessions.map((session) => session.close()))
    await this.#within(stopTimeoutMs, Promise.all([goodbyes, this.#attempts.stop(closed)]))
    for (const session of sessions) session.abort(closed)
    for (const { leftovers } of kept) leftovers.abort(closed)
  }

  sessionOf(peerId: PeerId): Session | undefined {
    return this.#kept.get(peerId.toString())?.session?.current
  }

  /** The device was seen on the network: its waiting time is over. */
  sighting(peerId: PeerId): void {
    const kept = this.#kept.get(peerId.toString())
    if (this.#phase !== 'running' || kept === undefined) return
    if (kept.session === undefined && !kept.needsPairing) this.#attempts.hurry(peerId)
  }

  /** Connects to a device that was just paired, or that a person wants now. */
  connectNow(peerId: PeerId): void {
    if (this.#phase !== 'running') return
    const kept = this.#keep(peerId)
    kept.needsPairing = false
    if (kept.session === undefined) this.#attempts.hurry(peerId)
  }

  /** Addresses came or went: everybody is tried anew, and the sessions must show that they are alive. */
  networkChanged(): void {
    if (this.#phase !== 'running') return
    for (const { session } of this.#kept.values()) {
      if (session !== undefined) void this.#isAlive(session.current)
    }
    const missing = this.#options.devices().filter((peerId) => {
      const kept = this.#kept.get(peerId.toString())
      return kept !== undefined && kept.session === undefined && !kept.needsPairing
    })
    this.#attempts.restart(missing)
  }

  /** Takes in a session that the other side opened. `refused`: it was closed, for want of trust or for a better one. */
  async admit(session: Session): Promise<'kept' | 'refused'> {
    if (this.#phase !== 'running' || !this.#options.isDevice(session.remotePeer)) {
      session.abort(new SpacedockError('not-paired', 'The two devices are not paired.'))
      return 'refused'
    }
    const kept = this.#keep(session.remotePeer)
    const admission = kept.admissions.then(() => this.#settle(kept, session))
    // A callback that throws must not shut the door to the sessions after it.
    kept.admissions = admission.catch(() => {})
    return admission
  }

  /** Lets a session with the device go on over a better connection; the one before ends when what is under way has ended. */
  async moveTo(connection: Connection, { signal }: { signal: AbortSignal }): Promise<void> {
    const kept = this.#kept.get(connection.remotePeer.toString())
    if (kept === undefined || !this.#isWanted(kept)) return
    const session = await this.#options.openSession(connection, { signal })
    if (this.#isWanted(kept)) await this.admit(session)
    else session.abort(new SpacedockError('cancelled', 'The device is not wanted any more.'))
  }

  /**
   * Trust is withdrawn: when this resolves, nothing connects the two devices any more. `devices` and `keysOf` must not know
   * the device by now, or what is half open could still come up. A device that is there is told first.
   */
  async drop(peerId: PeerId, farewell?: Uint8Array): Promise<void> {
    const key = peerId.toString()
    // Whoever comes second must not hang up before it is told.
    const dropping = this.#dropping.get(key) ?? this.#drop(peerId, farewell)
    this.#dropping.set(key, dropping)
    await dropping.finally(() => this.#dropping.delete(key))
  }

  async #drop(peerId: PeerId, farewell: Uint8Array | undefined): Promise<void> {
    const { connectionsTo } = this.#options
    const session = this.sessionOf(peerId)
    const revoked = new SpacedockError('not-paired', 'The device was revoked.')
    this.#kept.get(peerId.toString())?.leftovers.stop()
    this.#kept.delete(peerId.toString())
    if (farewell !== undefined) await session?.revoke(farewell)
    session?.abort(revoked)
    for (const connection of connectionsTo(peerId)) connection.abort(revoked)
    await this.#within(stopTimeoutMs, this.#attempts.forget(peerId, revoked))
    // What a dial brought up in the meantime.
    for (const connection of connectionsTo(peerId)) connection.abort(revoked)
  }

  #keep(peerId: PeerId): Kept {
    const known = this.#kept.get(peerId.toString())
    if (known !== undefined) return known
    const kept: Kept = {
      peerId,
      session: undefined,
      needsPairing: false,
      admissions: Promise.resolve(),
      leftovers: new Leftovers({
        clock: this.#clock,
        used: () => kept.session?.current.connection,
        connections: () => this.#options.connectionsTo(peerId),
      }),
    }
    this.#kept.set(peerId.toString(), kept)
    return kept
  }

  #isWanted(kept: Kept): boolean {
    return this.#phase === 'running' && this.#kept.get(kept.peerId.toString()) === kept
  }

  async #attempt(peerId: PeerId, signals: AttemptSignals): Promise<'retry' | 'enough'> {
    const kept = this.#kept.get(peerId.toString())
    if (kept === undefined) return 'enough'
    if (!this.#options.isDevice(peerId)) {
      this.#kept.delete(peerId.toString())
      return 'enough'
    }
    const failure = await this.#connect(kept, signals).then(
      () => undefined,
      (error: unknown) => dialFailure(error, 1),
    )
    // Meanwhile it came by itself, or said that it has revoked this device: that is not to be covered by what failed here.
    if (!this.#isWanted(kept) || kept.session !== undefined || kept.needsPairing) return 'enough'
    if (failure?.code === 'not-paired') {
      kept.needsPairing = true
      this.#attempts.pause(peerId)
      this.#options.onUnknownDevice(peerId, failure)
      return 'enough'
    }
    // A dial that starts over has not failed.
    if (failure !== undefined && failure.code !== 'cancelled')
      this.#options.onAttemptFailed?.(peerId, failure)
    return 'retry'
  }

  async #connect(kept: Kept, signals: AttemptSignals): Promise<void> {
    const isNeeded = (): boolean => kept.session === undefined
    const options = { ...this.#options, clock: this.#clock, isNeeded }
    const session = await attemptConnection(kept.peerId, signals, options)
    if (session === undefined) return kept.leftovers.tidySoon()
    if (this.#isWanted(kept)) await this.admit(session)
    else session.abort(new SpacedockError('cancelled', 'The device is not wanted any more.'))
    return undefined
  }

  async #settle(kept: Kept, newcomer: Session): Promise<'kept' | 'refused'> {
    const current = kept.session?.current
    if (current !== undefined) {
      const localIsSmaller = this.#options.localPeer.toString() < kept.peerId.toString()
      const verdict = arbitrate(current, newcomer, localIsSmaller)
      if (verdict === 'probe-current' && (await this.#isAlive(current, newcomer.connection))) {
        void newcomer.close().then(() => kept.leftovers.tidySoon())
        return 'refused'
      }
    }
    if (!this.#isWanted(kept)) {
      newcomer.abort(new SpacedockError('not-paired', 'The device is not wanted any more.'))
      return 'refused'
    }
    this.#adopt(kept, newcomer)
    return 'kept'
  }

  #adopt(kept: Kept, session: Session): void {
    const previous = kept.session?.current
    kept.session = { current: session, sinceMs: this.#clock.monotonic() }
    kept.needsPairing = false
    this.#attempts.pause(kept.peerId)
    void session.closed.then((end) => this.#ended(kept, session, end))
    // Also the first measurement of its round trip.
    const isTakenIn = probe(session)
    if (previous !== undefined && previous.remoteInstance !== session.remoteInstance)
      endDead(previous, session.connection, restarted())
    else if (previous !== undefined) void kept.leftovers.retire(previous, session, isTakenIn)
    kept.leftovers.tidySoon()
    this.#options.onSession(session)
  }

  #ended(kept: Kept, session: Session, end: SessionEnd): void {
    if (kept.session?.current !== session) return
    const livedMs = this.#clock.monotonic() - kept.session.sinceMs
    kept.session = undefined
    if (end.reason === 'silent')
      session.connection.abort(new SpacedockError('offline', 'The device fell silent.'))
    if (this.#isWanted(kept)) {
      // A device that ends sessions as soon as they begin is not tried without pause.
      if (livedMs >= stableSessionMs) this.#attempts.forgive(kept.peerId)
      if (end.reason === 'revoked') kept.needsPairing = true
      else this.#attempts.retry(kept.peerId)
    }
    this.#options.onSessionEnded(kept.peerId, end, endFailure(end))
  }

  /** Whether a session answers; one that is silent is ended, with its connection unless that is known to live. */
  async #isAlive(session: Session, living?: Connection): Promise<boolean> {
    const found = await probe(session)
    if (found === 'silent') endSilent(session, living)
    return found === 'alive'
  }

  /** The ways to everybody may be others by now. */
  #wake(): void {
    this.networkChanged()
    this.#options.onWake?.()
  }

  /** Waits for what is being ended, but not for ever. */
  async #within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    const deadline = startDeadline(timeoutMs, stopTimedOut, { clock: this.#clock })
    await untilAborted(work, deadline.signal).catch(() => {})
    deadline.stop()
  }
}

function restarted(): SpacedockError {
  return new SpacedockError('interrupted', 'The other device was restarted.')
}

function stopTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'It did not end in time.')
}

const stopTimeoutMs = 2_000
const stableSessionMs = 10_000
