import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import type { AttemptSignals } from './attempt-schedule.ts'
import { AttemptSchedule } from './attempt-schedule.ts'
import type { AttemptMeans } from './connection-attempt.ts'
import { attemptConnection } from './connection-attempt.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import { DeviceSessions } from './device-sessions.ts'
import { dialFailure, endFailure } from './failures.ts'
import { isRelayed } from '../addresses/relayed-address.ts'
import { PathRenewal } from './path-renewal.ts'
import type { Session, SessionEnd, Sessions } from '../session/session.ts'
import { watchForSleep } from './sleep-watch.ts'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../peer-id.ts'

export interface ConnectionSupervisorOptions extends AttemptMeans {
  localPeer: PeerId
  /** Devices to keep connected, in the order in which they are tried. */
  devices: () => readonly PeerId[]
  /** Whether the peer is one of these devices. */
  isDevice: (peerId: PeerId) => boolean
  /** Called when a session comes into use: the device's first, or one that replaces another. */
  onSession: (session: Session) => void
  /** Called when the device has no session any more. `failure` tells a person why; null when this side ended it, in order. */
  onSessionEnded: (peerId: PeerId, end: SessionEnd, failure: SpacedockError | null) => void
  /** Called when an attempt has failed; the message tells a person why. */
  onAttemptFailed?: (peerId: PeerId, failure: SpacedockError) => void
  /** Called when the device says that it does not know this one, or has revoked it: it is not tried again before `connectNow`. */
  onUnknownDevice: (peerId: PeerId, failure: SpacedockError) => void
  /** Called when the relay is about to end the connection, and no other came up. */
  onRenewalFailed?: (peerId: PeerId, error: unknown) => void
  /** Called when the machine has slept, so that other waiting parts may look at once. */
  onWake?: () => void
  /** Returns a random number in [0, 1). @default Math.random */
  random?: () => number
  clock?: Clock
}

interface Kept {
  peerId: PeerId
  sessions: DeviceSessions
  renewal: PathRenewal
  /** Time at which the session in use became that. */
  usedSinceMs: number
  needsPairing: boolean
}

/** Keeps every paired device connected, for ever, with one session each for new work. */
export class ConnectionSupervisor implements Sessions {
  readonly #options: ConnectionSupervisorOptions
  readonly #clock: Clock
  readonly #attempts: AttemptSchedule
  readonly #kept = new Map<PeerId, Kept>()
  readonly #dropping = new Map<PeerId, Promise<void>>()
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

  /** Starts connecting to every device. */
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
    for (const { renewal } of this.#kept.values()) renewal.stop()
    const closed = new SpacedockError('closed', 'This device is shutting down.')
    const kept = [...this.#kept.values()]
    const goodbyes = Promise.all(kept.map(({ sessions }) => sessions.close()))
    await this.#within(stopTimeoutMs, Promise.all([goodbyes, this.#attempts.stop(closed)]))
    for (const { sessions } of kept) sessions.abort(closed)
  }

  sessionOf(peerId: PeerId): Session | undefined {
    return this.#kept.get(peerId)?.sessions.used
  }

  /** Ends the device's waiting time: it was seen on the network. */
  sighting(peerId: PeerId): void {
    const kept = this.#kept.get(peerId)
    if (this.#phase !== 'running' || kept === undefined) return
    if (this.#lacksSession(kept)) this.#attempts.hurry(peerId)
  }

  /** Connects to a device that was just paired, or that a person wants now. */
  connectNow(peerId: PeerId): void {
    if (this.#phase !== 'running') return
    const kept = this.#keep(peerId)
    kept.needsPairing = false
    if (this.#lacksSession(kept)) this.#attempts.hurry(peerId)
  }

  /** Follows a change of addresses: every device is tried anew, and the sessions must show that they are alive. */
  networkChanged(): void {
    if (this.#phase !== 'running') return
    for (const { sessions } of this.#kept.values()) sessions.check()
    this.tryAnew()
  }

  /** Tries devices without an answering session now, and starts their dials over: there is a new path to everybody. */
  tryAnew(): void {
    if (this.#phase !== 'running') return
    const missing = this.#options.devices().filter((peerId) => {
      const kept = this.#kept.get(peerId)
      return kept !== undefined && this.#lacksSession(kept)
    })
    this.#attempts.restart(missing)
  }

  /** Admits a session, opened by either side. `refused`: it was ended, for want of trust. */
  admit(session: Session): 'kept' | 'refused' {
    if (this.#phase !== 'running' || !this.#options.isDevice(session.remotePeer)) {
      session.abort(new SpacedockError('not-paired', 'The two devices are not paired.'))
      return 'refused'
    }
    this.#keep(session.remotePeer).sessions.add(session)
    return 'kept'
  }

  /** Reports that the device came, and no session came of it, for a reason that a person must hear of. */
  refused(peerId: PeerId, failure: SpacedockError): void {
    const kept = this.#kept.get(peerId)
    if (kept !== undefined && this.#isWanted(kept) && kept.sessions.used === undefined)
      this.#options.onAttemptFailed?.(peerId, failure)
  }

  /** Opens a session over a better connection for new work; the one before ends when what is under way on it has ended. */
  async moveTo(connection: Connection, { signal }: { signal: AbortSignal }): Promise<void> {
    const kept = this.#kept.get(peerIdOf(connection.remotePeer))
    if (kept === undefined || !this.#isWanted(kept)) return
    const session = await this.#options.openSession(connection, { signal })
    if (this.#isWanted(kept)) this.admit(session)
    else session.abort(new SpacedockError('cancelled', 'The device is not wanted any more.'))
  }

  /**
   * Withdraws trust: when this resolves, nothing connects the two devices any more. `devices` and `keysOf` must not know the
   * device by now, or a half-open session could still come up. A connected device is told first.
   */
  async drop(peerId: PeerId, farewell?: Uint8Array): Promise<void> {
    const key = peerId
    // A second call waits for the first, and must not hang up before the device is told.
    const dropping = this.#dropping.get(key) ?? this.#drop(peerId, farewell)
    this.#dropping.set(key, dropping)
    await dropping.finally(() => this.#dropping.delete(key))
  }

  async #drop(peerId: PeerId, farewell: Uint8Array | undefined): Promise<void> {
    const { connectionsTo } = this.#options
    const kept = this.#kept.get(peerId)
    const sessions = kept?.sessions
    kept?.renewal.stop()
    const revoked = new SpacedockError('not-paired', 'The device was revoked.')
    this.#kept.delete(peerId)
    if (farewell !== undefined) await Promise.all(sessions?.all.map((each) => each.revoke(farewell)) ?? [])
    sessions?.abort(revoked)
    for (const connection of connectionsTo(peerId)) connection.abort(revoked)
    await this.#within(stopTimeoutMs, this.#attempts.forget(peerId, revoked))
    // What a dial brought up in the meantime.
    for (const connection of connectionsTo(peerId)) connection.abort(revoked)
  }

  #keep(peerId: PeerId): Kept {
    const known = this.#kept.get(peerId)
    if (known !== undefined) return known
    const kept: Kept = {
      peerId,
      usedSinceMs: 0,
      needsPairing: false,
      sessions: new DeviceSessions({
        clock: this.#clock,
        isChooser: this.#isChooser(peerId),
        connections: () => this.#options.connectionsTo(peerId),
        onUsed: (session) => this.#used(kept, session),
        onNone: (end) => this.#ended(kept, end),
        onDoubt: () => this.#doubtChanged(kept),
      }),
      renewal: new PathRenewal({ clock: this.#clock, renew: () => this.#renew(kept) }),
    }
    this.#kept.set(peerId, kept)
    return kept
  }

  /** Whether a device has no session, or only one that may be dead, so that another would be of use. */
  #lacksSession({ sessions, needsPairing }: Kept): boolean {
    return !needsPairing && (sessions.used === undefined || sessions.used.isDoubtful)
  }

  #isWanted(kept: Kept): boolean {
    return this.#phase === 'running' && this.#kept.get(kept.peerId) === kept
  }

  async #attempt(peerId: PeerId, signals: AttemptSignals): Promise<'retry' | 'enough'> {
    const kept = this.#kept.get(peerId)
    if (kept === undefined) return 'enough'
    if (!this.#options.isDevice(peerId)) {
      this.#kept.delete(peerId)
      return 'enough'
    }
    const failure = await this.#connect(kept, signals).then(
      () => undefined,
      (error: unknown) => dialFailure(error, 1),
    )
    // The device came by itself meanwhile, or has revoked this one: a failure here must not hide that.
    if (!this.#isWanted(kept) || !this.#lacksSession(kept)) return 'enough'
    if (failure?.code === 'not-paired') {
      kept.needsPairing = true
      this.#attempts.pause(peerId)
      this.#options.onUnknownDevice(peerId, failure)
      return 'enough'
    }
    // A dial that starts over has not failed, and one beside a session says nothing about the device.
    if (failure !== undefined && failure.code !== 'cancelled' && kept.sessions.used === undefined)
      this.#options.onAttemptFailed?.(peerId, failure)
    return 'retry'
  }

  async #connect(kept: Kept, signals: AttemptSignals): Promise<void> {
    const isNeeded = (): boolean => this.#lacksSession(kept)
    // Open connections carry sessions already, and those are in doubt.
    const anew = kept.sessions.all.length > 0
    const session = await attemptConnection(kept.peerId, signals, {
      ...this.#options,
      clock: this.#clock,
      isNeeded,
      anew,
    })
    if (session === undefined) return kept.sessions.tidySoon()
    if (this.#isWanted(kept)) this.admit(session)
    else session.abort(new SpacedockError('cancelled', 'The device is not wanted any more.'))
    return undefined
  }

  #used(kept: Kept, session: Session): void {
    kept.usedSinceMs = this.#clock.monotonic()
    kept.needsPairing = false
    this.#attempts.pause(kept.peerId)
    if (this.#isChooser(kept.peerId)) kept.renewal.watch(session)
    this.#options.onSession(session)
  }

  #ended(kept: Kept, end: SessionEnd): void {
    kept.renewal.stop()
    const livedMs = this.#clock.monotonic() - kept.usedSinceMs
    if (this.#isWanted(kept)) {
      // A device that ends sessions as soon as they begin is not tried without pause.
      if (livedMs >= stableSessionMs) this.#attempts.forgive(kept.peerId)
      if (end.reason === 'revoked') kept.needsPairing = true
      else this.#attempts.retry(kept.peerId)
    }
    this.#options.onSessionEnded(kept.peerId, end, endFailure(end))
  }

  /** Whether it is this device of the two that says goodbye on sessions, and renews paths. */
  #isChooser(peerId: PeerId): boolean {
    return this.#options.localPeer < peerId
  }

  /** Renews a relayed connection; direct paths are searched for elsewhere. Never rejects. */
  async #renew(kept: Kept): Promise<void> {
    const { addressesOf, dial } = this.#options
    const deadline = startDeadline(renewalTimeoutMs, renewalTimedOut, { clock: this.#clock })
    try {
      const addresses = (await addressesOf(kept.peerId)).filter(isRelayed)
      const dialling = dial(kept.peerId, addresses, { signal: deadline.signal, anew: true })
      await this.moveTo(await dialling, { signal: deadline.signal })
    } catch (error) {
      // The session goes on over the old one; when that ends, the device is dialled like any other.
      this.#options.onRenewalFailed?.(kept.peerId, error)
    } finally {
      deadline.stop()
    }
  }

  /** Looks for another path while, and only while, the session in use does not answer. */
  #doubtChanged(kept: Kept): void {
    if (!this.#isWanted(kept) || kept.sessions.used === undefined) return
    if (this.#lacksSession(kept)) this.#attempts.restart([kept.peerId])
    else this.#attempts.pause(kept.peerId)
  }

  /** Follows a wake-up: the paths to every device may have changed. */
  #wake(): void {
    this.networkChanged()
    this.#options.onWake?.()
  }

  /** Waits for work to end, up to a limit. */
  async #within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    const deadline = startDeadline(timeoutMs, stopTimedOut, { clock: this.#clock })
    await untilAborted(work, deadline.signal).catch(() => {})
    deadline.stop()
  }
}

function stopTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'It did not end in time.')
}

function renewalTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'No other connection came up in time.')
}

const renewalTimeoutMs = 10_000
const stopTimeoutMs = 2_000
const stableSessionMs = 10_000
