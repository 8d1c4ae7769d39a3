import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { settledWithin } from '../deadline.ts'
import type { Session, Sessions } from '../session/session.ts'
import { AttemptSchedule } from './attempt-schedule.ts'
import { notPaired, Peer } from './peer.ts'
import type { PeerListener, PeerParts } from './peer-parts.ts'
import { watchForSleep } from './sleep-watch.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../libp2p-peer.ts'

export type ConnectionSupervisorOptions = Omit<PeerParts, 'schedule' | 'peers' | 'listeners'>

/** Listener to what becomes of all devices, and of this one. */
export interface SupervisorListener extends PeerListener {
  /** Called when the computer has slept, so that other waiting parts may look at once. */
  woke(): void
}

/**
 * Keeps every paired device connected, for ever, with one session each for new work. It makes one `Peer` for each, tells it what
 * concerns all of them, and drops it.
 */
export class ConnectionSupervisor implements Sessions {
  readonly #parts: PeerParts
  readonly #peers = new Map<PeerId, Peer>()
  readonly #listeners: Partial<SupervisorListener>[] = []
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #stopSleepWatch: () => void = () => {}

  constructor(options: ConnectionSupervisorOptions) {
    const peers = this.#peers
    const schedule = new AttemptSchedule({ clock: options.clock, peers })
    this.#parts = { ...options, schedule, peers, listeners: this.#listeners }
  }

  /** Devices, also those that are left alone. */
  get peers(): ReadonlyMap<PeerId, Peer> {
    return this.#peers
  }

  /** Tells this listener, too; listeners are told in the order in which they came. */
  listen(listener: Partial<SupervisorListener>): void {
    this.#listeners.push(listener)
  }

  /** Starts connecting to every device. */
  start(): void {
    if (this.#phase !== 'new') return
    this.#phase = 'running'
    this.#stopSleepWatch = watchForSleep(this.#parts.clock, () => this.#wake())
    this.#readKeys()
    const peers = this.#parts.trusted.wanted().map((peer) => this.#keep(peer))
    this.#parts.schedule.restart(peers)
  }

  /** Ends all attempts and says goodbye on all sessions; takes two seconds at most. It cannot be started again. */
  async stop(): Promise<void> {
    this.#phase = 'stopped'
    this.#stopSleepWatch()
    const { schedule, clock } = this.#parts
    const closed = new SpacedockError('closed', 'This device is shutting down.')
    const peers = [...this.#peers.values()]
    const goodbyes = peers.map((peer) => peer.close())
    await settledWithin(stopTimeoutMs, Promise.all([...goodbyes, schedule.stop(closed)]), clock)
    for (const { sessions } of peers) sessions.abort(closed)
  }

  sessionOf(peer: PeerId): Session | undefined {
    return this.#peers.get(peer)?.session
  }

  /** Ends the device's waiting time: there is news of where it is. */
  sighting(peer: PeerId): void {
    this.#peers.get(peer)?.sighted()
  }

  /** Connects to a device that was just paired, or that a person wants now. */
  connectNow(peer: PeerId): void {
    if (this.#phase === 'running') this.#keep(peer).connectNow()
  }

  /** Follows a change of addresses: every device is tried anew, and the sessions must show that they are alive. */
  networkChanged(): void {
    if (this.#phase !== 'running') return
    for (const peer of this.#peers.values()) peer.networkChanged()
    this.tryAnew()
  }

  /** Tries devices without an answering session now, and starts their dials over: there is a new path to everybody. */
  tryAnew(): void {
    if (this.#phase !== 'running') return
    const wanted = this.#parts.trusted.wanted().flatMap((peer) => this.#peers.get(peer) ?? [])
    this.#parts.schedule.restart(wanted.filter(({ isKept, lacksSession }) => isKept && lacksSession))
  }

  /** Follows a change of the trust in this device: one that is trusted now is known, if not wanted yet. */
  trustChanged(changed: PeerId): void {
    if (this.#phase !== 'running') return
    this.#readKeys()
    const presence = this.#peers.get(changed)?.presence ?? null
    if (presence !== null) presence.unreadVersion = null
  }

  /** Uses a connection that came up, in either direction, if it is a better path. */
  connectionOpened(connection: Connection): void {
    this.#peers.get(peerIdOf(connection.remotePeer))?.directPath.connectionOpened(connection)
  }

  /** Looks for TLS in the place of Noise for a direct session with a device that speaks both. */
  withoutTls(session: Session): void {
    this.#peers.get(session.remotePeer)?.directPath.withoutTls(session)
  }

  /** Admits a session, opened by either side. `refused`: it was ended, for want of trust. */
  admit(session: Session): 'kept' | 'refused' {
    const { remotePeer } = session
    if (this.#phase === 'running' && this.#parts.trusted.isWanted(remotePeer))
      return this.#keep(remotePeer).admit(session)
    session.abort(notPaired())
    return 'refused'
  }

  /** Reports that the device came, and no session came of it, for a reason that a person must hear of. */
  refused(peer: PeerId, failure: SpacedockError): void {
    this.#peers.get(peer)?.refused(failure)
  }

  /**
   * Withdraws trust: when this resolves, nothing connects the two devices any more. It must be neither wanted nor have keys by now,
   * or a half-open session could still come up. A connected device is told first.
   */
  async drop(peer: PeerId, notice?: Uint8Array): Promise<void> {
    await (this.#peers.get(peer) ?? this.#make(peer)).drop(notice)
  }

  #readKeys(): void {
    const keys = new Map(this.#parts.trusted.pairKeys().map(({ peer, pairKey }) => [peer, pairKey]))
    for (const id of keys.keys()) this.#know(id)
    for (const peer of this.#peers.values()) peer.trust(keys.get(peer.id) ?? null)
  }

  #keep(id: PeerId): Peer {
    const peer = this.#know(id)
    peer.keep()
    return peer
  }

  #know(id: PeerId): Peer {
    const known = this.#peers.get(id)
    // One that is being dropped may be paired again meanwhile.
    return known === undefined || known.isDropped ? this.#make(id) : known
  }

  #make(id: PeerId): Peer {
    const peer = new Peer(id, this.#parts)
    this.#peers.set(id, peer)
    return peer
  }

  /** Follows a wake-up: the paths to every device may have changed. */
  #wake(): void {
    this.networkChanged()
    for (const each of this.#listeners) each.woke?.()
  }
}

const stopTimeoutMs = 2_000
