import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { settledWithin } from '../deadline.ts'
import type { FollowedPeer, PeerPresence } from '../discovery/peer-presence.ts'
import { DirectPath, type RelayedPeer } from './direct-path.ts'
import type { Session, SessionEnd } from '../session/session.ts'
import { AttemptPlan, type AttemptSignals } from './attempt-plan.ts'
import type { TriedPeer } from './attempt-schedule.ts'
import { attemptConnection, type AttemptedPeer } from './connection-attempt.ts'
import { DeviceSessions } from './device-sessions.ts'
import { dialFailure, endFailure } from './failures.ts'
import { PathRenewal, type RenewedPeer } from './path-renewal.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'
import type { PeerParts } from './peer-parts.ts'

/**
 * Device in the network: its sessions, when it is tried next and how often it has failed, where it may be reached, the search for a
 * direct path to it. Here it is decided that it is reconnected: whenever it `lacksSession`. When that happens is up to the
 * schedule, which new work goes to which session to `DeviceSessions`.
 */
export class Peer implements TriedPeer, AttemptedPeer, RelayedPeer, RenewedPeer, FollowedPeer {
  readonly id: PeerId
  readonly sessions: DeviceSessions
  /** Time of the next attempt, and the waiting times that failures have led to. */
  readonly plan: AttemptPlan
  readonly directPath: DirectPath
  /** Key of the pairing, 32 bytes; null while it is not trusted. */
  pairKey: Uint8Array | null = null
  /** Record by which it is found again in another network; null where no DHT is used, and while it is not trusted. */
  presence: PeerPresence | null = null
  readonly #parts: PeerParts
  readonly #renewal: PathRenewal
  #standing: Standing = { kind: 'known' }
  /** Whether the device has said that it does not know this one: another attempt would come to the same. */
  #needsPairing = false
  /** Time at which the session in use became that. */
  #usedSinceMs = 0

  constructor(id: PeerId, parts: PeerParts) {
    const { host, clock, random } = parts
    this.id = id
    this.#parts = parts
    this.plan = new AttemptPlan(random)
    this.sessions = new DeviceSessions({
      clock,
      isChooser: this.#isChooser,
      connections: () => host.connectionsTo(id),
      onUsed: (session) => this.#used(session),
      onNone: (end) => this.#ended(end),
      onDoubt: () => this.#doubtChanged(),
    })
    this.directPath = new DirectPath(this, parts)
    this.#renewal = new PathRenewal(this, parts)
  }

  /** Session that new work goes to. */
  get session(): Session | undefined {
    return this.isDropped ? undefined : this.sessions.used
  }

  /** Whether there is a session over a path without limits: a relay that carries little is left as soon as there is another way. */
  get isWellConnected(): boolean {
    return this.session?.budget === null
  }

  /** Whether it is to be connected. */
  get isKept(): boolean {
    return this.#standing.kind === 'kept'
  }

  get isDropped(): boolean {
    return this.#standing.kind === 'dropped'
  }

  /** Whether it has no session, or only one that may be dead, so that another would be of use. */
  get lacksSession(): boolean {
    const { used } = this.sessions
    return !this.#needsPairing && (used === undefined || used.isDoubtful)
  }

  /** Addresses at which it may be reached; empty when nothing is known. */
  addresses(): readonly Multiaddr[] {
    const published = this.presence?.addresses ?? []
    return this.#parts.book.addressesOf(this.id, published).map((address) => multiaddr(address))
  }

  /** Follows a change of trust, which has this key now, or none. */
  trust(pairKey: Uint8Array | null): void {
    this.pairKey = pairKey
    if (pairKey === null && this.#standing.kind === 'known') this.#leave()
  }

  /** Begins to keep it connected. */
  keep(): void {
    if (this.#standing.kind === 'known') this.#standing = { kind: 'kept' }
  }

  /** Ends the waiting time: there is news of where it is. */
  sighted(): void {
    if (this.isKept && this.lacksSession) this.#parts.schedule.hurry(this)
    this.directPath.hurry()
  }

  /** Connects to it now: it was just paired, or a person wants it. */
  connectNow(): void {
    this.keep()
    this.#needsPairing = false
    if (this.lacksSession) this.#parts.schedule.hurry(this)
  }

  /** Has its sessions show that they are alive, and looks for other paths: addresses have changed, here or there. */
  networkChanged(): void {
    this.sessions.check()
    this.directPath.hurry()
  }

  /** Takes in a session, opened by either side. `refused`: it was ended, for want of trust. */
  admit(session: Session): 'kept' | 'refused' {
    if (this.#parts.trusted.isWanted(this.id)) {
      this.sessions.add(session)
      return 'kept'
    }
    session.abort(notPaired())
    return 'refused'
  }

  /** Reports that it came, and no session came of it, for a reason that a person must hear of. */
  refused(failure: SpacedockError): void {
    if (this.isKept && this.sessions.used === undefined) this.#attemptFailed(failure)
  }

  /** Opens a session over a better connection for new work; the one before ends when what is under way on it has ended. */
  async moveTo(connection: SessionConnection, options: { signal: AbortSignal }): Promise<void> {
    if (this.isKept) this.#take(await this.#parts.opener.open(connection, options))
  }

  /** Tries once to reach it; called by the schedule. Never rejects. */
  async attempt(signals: AttemptSignals): Promise<'retry' | 'enough'> {
    const { trusted, schedule, listeners } = this.#parts
    if (!trusted.isWanted(this.id)) {
      this.#leave()
      return 'enough'
    }
    const failure = await this.#connect(signals).then(
      () => undefined,
      (error: unknown) => dialFailure(error, 1),
    )
    // The device came by itself meanwhile, or has revoked this one: a failure here must not hide that.
    if (!this.isKept || !this.lacksSession) return 'enough'
    if (failure?.code === 'not-paired') {
      this.#needsPairing = true
      schedule.pause(this)
      for (const each of listeners) each.unknownDevice?.(this, failure)
      return 'enough'
    }
    // A dial that starts over has not failed, and one beside a session says nothing about the device.
    if (failure !== undefined && failure.code !== 'cancelled' && this.sessions.used === undefined)
      this.#attemptFailed(failure)
    return 'retry'
  }

  /** Says goodbye on all sessions, and tries nothing any more. Never rejects. */
  async close(): Promise<void> {
    if (this.isDropped) return
    this.#standing = { kind: 'closed' }
    this.#renewal.stop()
    await Promise.all([this.sessions.close(), this.directPath.stop()])
  }

  /** Withdraws trust: when this resolves, nothing connects the two devices any more. A connected one is told first. */
  drop(notice: Uint8Array | undefined): Promise<void> {
    // A second call waits for the first, and must not hang up before the device is told.
    if (this.#standing.kind !== 'dropped') {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#standing = { kind: 'dropped', done: promise }
      resolve(this.#drop(notice))
    }
    return this.#standing.done
  }

  async #drop(notice: Uint8Array | undefined): Promise<void> {
    const { host, schedule, clock } = this.#parts
    const revoked = new SpacedockError('not-paired', 'The device was revoked.')
    this.#renewal.stop()
    if (notice !== undefined) await Promise.all(this.sessions.all.map((each) => each.revoke(notice)))
    this.sessions.abort(revoked)
    for (const connection of host.connectionsTo(this.id)) connection.abort(revoked)
    await settledWithin(forgetTimeoutMs, schedule.forget(this, revoked), clock)
    // What a dial brought up in the meantime.
    for (const connection of host.connectionsTo(this.id)) connection.abort(revoked)
    this.#leave()
  }

  #leave(): void {
    const { peers } = this.#parts
    if (this.#standing.kind !== 'dropped') this.#standing = { kind: 'dropped', done: Promise.resolve() }
    if (peers.get(this.id) === this) peers.delete(this.id)
    void this.presence?.stop()
    this.presence = null
  }

  /** Whether it is this device of the two that says goodbye on sessions, and renews paths. */
  get #isChooser(): boolean {
    return this.#parts.host.peerId < this.id
  }

  async #connect(signals: AttemptSignals): Promise<void> {
    // Open connections carry sessions already, and those are in doubt.
    const anew = this.sessions.all.length > 0
    const session = await attemptConnection(this, { ...signals, anew }, this.#parts)
    if (session === undefined) this.sessions.tidySoon()
    else this.#take(session)
  }

  /** Takes in a session that this side has opened, if it is still wanted. */
  #take(session: Session): void {
    if (this.isKept) this.admit(session)
    else session.abort(new SpacedockError('cancelled', 'The device is not wanted any more.'))
  }

  #used(session: Session): void {
    this.#usedSinceMs = this.#parts.clock.monotonic()
    this.#needsPairing = false
    this.#parts.schedule.pause(this)
    if (this.#isChooser) this.#renewal.watch(session)
    if (this.presence !== null) this.presence.unreadVersion = null
    for (const each of this.#parts.listeners) each.sessionStarted?.(this, session)
    this.directPath.sessionStarted(session)
  }

  #ended(end: SessionEnd): void {
    const { schedule, clock, listeners } = this.#parts
    this.#renewal.stop()
    if (this.isKept) {
      // A device that ends sessions as soon as they begin is not tried without pause.
      if (clock.monotonic() - this.#usedSinceMs >= stableSessionMs) schedule.forgive(this)
      if (end.reason === 'revoked') this.#needsPairing = true
      else schedule.retry(this)
    }
    for (const each of listeners) each.sessionEnded?.(this, end, endFailure(end))
    this.presence?.look()
  }

  /** Looks for another path while, and only while, the session in use does not answer. */
  #doubtChanged(): void {
    if (!this.isKept || this.sessions.used === undefined) return
    if (this.lacksSession) this.#parts.schedule.restart([this])
    else this.#parts.schedule.pause(this)
  }

  #attemptFailed(failure: SpacedockError): void {
    for (const each of this.#parts.listeners) each.attemptFailed?.(this, failure)
  }
}

/** `known`: trusted, and left alone until it is wanted. `closed`: this device is shutting down. `dropped`: not trusted any more. */
type Standing =
  { kind: 'known' } | { kind: 'kept' } | { kind: 'closed' } | { kind: 'dropped'; done: Promise<void> }

export function notPaired(): SpacedockError {
  return new SpacedockError('not-paired', 'The two devices are not paired.')
}

const forgetTimeoutMs = 2_000
const stableSessionMs = 10_000
