import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { startDeadline } from '../deadline.ts'
import { classOfAddress, classOfIp } from '../addresses/address-class.ts'
import { isRelayed, isRelayedConnection } from '../addresses/relayed-address.ts'
import type { Session } from '../session/session.ts'
import type { ConnectionSupervisor } from '../supervisor/connection-supervisor.ts'
import type { SimultaneousOpen } from './simultaneous-open.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../peer-id.ts'

/** Host as far as a direct path needs one. */
export interface DirectPathHost {
  readonly peerId: PeerId
  /** Null when the host uses no relays. */
  readonly simultaneousOpen: Pick<SimultaneousOpen, 'open'> | null
  connectionsTo(peer: PeerId): readonly Connection[]
  /** Opens a new connection. */
  dial(peer: PeerId, addresses: readonly Multiaddr[], options: { signal: AbortSignal }): Promise<Connection>
  toldAddresses(peer: PeerId): Promise<readonly Multiaddr[]>
}

export interface DirectPathsOptions {
  host: DirectPathHost
  supervisor: Pick<ConnectionSupervisor, 'sessionOf' | 'moveTo'>
  /** Returns the addresses that are known of a device, besides those that it has told. */
  addressesOf: (peer: PeerId) => readonly Multiaddr[]
  clock: Clock
  log: Log
}

interface Search {
  session: Session
  sleep: InterruptibleSleep
  over: AbortController
  done: Promise<void>
}

/**
 * Searches for a direct path to every device whose session is relayed, and moves the session there. It tries at once, then ever
 * more rarely, and at once again when there is news. Failures are normal and are not reported.
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

  /** Follows a session that comes into use: a relayed one is to be replaced, and the search for the one before ends. */
  sessionStarted(session: Session): void {
    const peer = session.remotePeer
    const before = this.#searches.get(peer)
    if (this.#stop.signal.aborted || before?.session === session) return
    before?.over.abort(new Error('there is a newer session'))
    if (!isRelayedConnection(session.connection)) return
    const over = new AbortController()
    void session.closed.then(() => over.abort(new Error('the session has ended')))
    const sleep = new InterruptibleSleep(this.#options.clock)
    // Searches run one after the other: two openings with one device at the same time would undo each other.
    const done = Promise.resolve(before?.done)
      .then(() => this.#search(session, sleep, AbortSignal.any([over.signal, this.#stop.signal])))
      .finally(() => {
        if (this.#searches.get(peer)?.session === session) this.#searches.delete(peer)
      })
    this.#searches.set(peer, { session, sleep, over, done })
  }

  /** Searches at once: the device was seen in this network, or told new addresses. */
  hurry(peer: PeerId): void {
    this.#searches.get(peer)?.sleep.interrupt()
  }

  /** Searches at once for all devices: this one's addresses have changed. */
  networkChanged(): void {
    for (const { sleep } of this.#searches.values()) sleep.interrupt()
  }

  /** Uses a direct connection that came up, in either direction. */
  connectionOpened(connection: Connection): void {
    const search = this.#searches.get(peerIdOf(connection.remotePeer))
    if (search === undefined || isRelayedConnection(connection)) return
    void this.#move(search.session, connection)
  }

  /** Searches until the signal aborts. Never rejects. */
  async #search(session: Session, sleep: InterruptibleSleep, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      await this.#try(session, signal)
      await sleep.for(delaysMs[Math.min(tries, delaysMs.length - 1)] ?? 0, signal)
    }
  }

  async #try(session: Session, signal: AbortSignal): Promise<void> {
    const { host, clock, log } = this.#options
    const { remotePeer, connection: relayed } = session
    const open = host
      .connectionsTo(remotePeer)
      .find((one) => one.status === 'open' && !isRelayedConnection(one))
    if (open !== undefined) return this.#move(session, open)
    const deadline = startDeadline(tryTimeoutMs, () => new Error('no direct way in time'), {
      signal,
      clock,
    })
    try {
      const ways = [
        this.#directAddresses(remotePeer, relayed).then((found) => host.dial(remotePeer, found, deadline)),
      ]
      // Through the NATs on the way.
      if (host.simultaneousOpen !== null && this.#isAsker(remotePeer))
        ways.push(host.simultaneousOpen.open(relayed, deadline))
      const connection = await Promise.any(ways)
      await this.#move(session, connection)
    } catch (error) {
      const causes = error instanceof AggregateError ? error.errors.map(String) : [String(error)]
      log('debug', 'direct-path.not-found', { peer: remotePeer, errors: causes })
    } finally {
      // The slower path is aborted.
      deadline.abort(new Error('the try is over'))
    }
  }

  async #directAddresses(peer: PeerId, relayed: Connection): Promise<Multiaddr[]> {
    const { host, addressesOf } = this.#options
    // The device may tell this one's own machine; what is on the machine of the relay may be there, too.
    const isHere = classOfIp(relayed.remoteAddr.getComponents()[0]?.value ?? '') === 'loopback'
    const told = (await host.toldAddresses(peer)).filter((address) => {
      const kind = classOfAddress(address)
      return kind !== null && (kind !== 'loopback' || isHere)
    })
    return [...addressesOf(peer), ...told].filter((address) => !isRelayed(address)).slice(0, maxAddresses)
  }

  /** Whether this one of the two devices arranges a simultaneous open, and moves the session. */
  #isAsker(peer: PeerId): boolean {
    return this.#options.host.peerId < peer
  }

  /** Moves the session. Never rejects. */
  async #move(session: Session, connection: Connection): Promise<void> {
    const { supervisor, log } = this.#options
    const peer = session.remotePeer
    if (!this.#isAsker(peer) || this.#moving.has(peer)) return
    if (supervisor.sessionOf(peer) !== session) return
    this.#moving.add(peer)
    try {
      await supervisor.moveTo(connection, { signal: this.#stop.signal })
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
