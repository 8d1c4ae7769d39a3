import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { Alarm } from '../alarm.ts'
import { startDeadline } from '../deadline.ts'
import { isRelayed, isRelayedConnection } from '../relayed-address.ts'
import type { Session } from '../session/session.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../peer-id.ts'

export interface DirectPathsOptions {
  /** The session in use with this peer. */
  sessionOf: (peer: PeerId) => Session | undefined
  connectionsTo: (peer: PeerId) => readonly Connection[]
  /** Where the peer says that it is. */
  addressesOf: (peer: PeerId) => Promise<readonly Multiaddr[]>
  /** A new connection. */
  dial: (
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ) => Promise<Connection>
  /** Through the NATs on the way. */
  openThroughNats: (relayed: Connection, options: { signal: AbortSignal }) => Promise<Connection>
  /** Only one of two devices arranges for it, and moves the session: whether that is this one. */
  isAsker: (peer: PeerId) => boolean
  /** Lets the session go on over this connection. */
  moveSession: (connection: Connection, options: { signal: AbortSignal }) => Promise<void>
  clock: Clock
  log: Log
}

interface Search {
  session: Session
  alarm: Alarm
  over: AbortController
  done: Promise<void>
}

/**
 * Looks for a direct way to every device whose session goes over a relay, and moves the session there. It tries at once, then
 * ever more rarely, and at once again when there is news. That nothing is found is normal and says nothing.
 */
export class DirectPaths {
  readonly #options: DirectPathsOptions
  readonly #searches = new Map<PeerId, Search>()
  readonly #moving = new Set<PeerId>()
  readonly #stop = new AbortController()

  constructor(options: DirectPathsOptions) {
    this.#options = options
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('this device is shutting down'))
    await Promise.all([...this.#searches.values()].map(({ done }) => done))
  }

  /** A session is in use: one over a relay is to be replaced. The search for the one that it takes the place of is over. */
  sessionStarted(session: Session): void {
    const peer = session.remotePeer
    const before = this.#searches.get(peer)
    if (this.#stop.signal.aborted || before?.session === session) return
    before?.over.abort(new Error('there is a newer session'))
    if (!isRelayedConnection(session.connection)) return
    const over = new AbortController()
    void session.closed.then(() => over.abort(new Error('the session has ended')))
    const alarm = new Alarm(this.#options.clock)
    // One after the other: two openings with one device at the same time would undo each other.
    const done = Promise.resolve(before?.done)
      .then(() => this.#search(session, alarm, AbortSignal.any([over.signal, this.#stop.signal])))
      .finally(() => {
        if (this.#searches.get(peer)?.session === session) this.#searches.delete(peer)
      })
    this.#searches.set(peer, { session, alarm, over, done })
  }

  /** The device was seen in this network, or told new addresses. */
  hurry(peer: PeerId): void {
    this.#searches.get(peer)?.alarm.ring()
  }

  /** Addresses of this device came or went. */
  networkChanged(): void {
    for (const { alarm } of this.#searches.values()) alarm.ring()
  }

  /** A connection came up, whoever dialled. */
  connectionOpened(connection: Connection): void {
    const search = this.#searches.get(peerIdOf(connection.remotePeer))
    if (search === undefined || isRelayedConnection(connection)) return
    void this.#move(search.session, connection)
  }

  /** Never rejects. */
  async #search(session: Session, alarm: Alarm, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      await this.#try(session, signal)
      await alarm.wait(delaysMs[Math.min(tries, delaysMs.length - 1)] ?? 0, signal)
    }
  }

  async #try(session: Session, signal: AbortSignal): Promise<void> {
    const { connectionsTo, dial, openThroughNats, isAsker, clock, log } = this.#options
    const { remotePeer, connection: relayed } = session
    const open = connectionsTo(remotePeer).find((one) => one.status === 'open' && !isRelayedConnection(one))
    if (open !== undefined) return this.#move(session, open)
    const deadline = startDeadline(tryTimeoutMs, () => new Error('no direct way in time'), {
      signal,
      clock,
    })
    try {
      const ways = [this.#directAddresses(remotePeer).then((found) => dial(remotePeer, found, deadline))]
      if (isAsker(remotePeer)) ways.push(openThroughNats(relayed, deadline))
      const connection = await Promise.any(ways)
      await this.#move(session, connection)
    } catch (error) {
      const causes = error instanceof AggregateError ? error.errors.map(String) : [String(error)]
      log('debug', 'direct-path.not-found', { peer: remotePeer, errors: causes })
    } finally {
      // The other way is called off.
      deadline.abort(new Error('the try is over'))
    }
  }

  async #directAddresses(peer: PeerId): Promise<Multiaddr[]> {
    const addresses = await this.#options.addressesOf(peer)
    return addresses.filter((address) => !isRelayed(address)).slice(0, maxAddresses)
  }

  /** Never rejects. */
  async #move(session: Session, connection: Connection): Promise<void> {
    const { isAsker, moveSession, sessionOf, log } = this.#options
    const peer = session.remotePeer
    if (!isAsker(session.remotePeer) || this.#moving.has(peer)) return
    if (sessionOf(session.remotePeer) !== session) return
    this.#moving.add(peer)
    try {
      await moveSession(connection, { signal: this.#stop.signal })
    } catch (error) {
      log('debug', 'direct-path.not-used', { peer, error: String(error) })
    } finally {
      this.#moving.delete(peer)
    }
  }
}

const tryTimeoutMs = 20_000
const delaysMs = [5_000, 30_000, 120_000, 600_000]
const maxAddresses = 8
