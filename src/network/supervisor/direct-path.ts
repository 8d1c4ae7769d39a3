import type { Connection } from '@libp2p/interface'
import { isTls, type SessionConnection } from '../transport/tls-connection.ts'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { startDeadline } from '../deadline.ts'
import { classOfAddress, classOfIp } from '../addresses/address-class.ts'
import { isRelayed, isRelayedConnection } from '../addresses/relayed-address.ts'
import type { Session } from '../session/session.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Way through the NATs between two devices that talk over a relay. */
export interface SimultaneousOpener {
  open(relayed: Connection, options: { signal: AbortSignal }): Promise<Connection>
}

/** Host as far as a direct path needs one. */
export interface DirectPathHost {
  readonly peerId: PeerId
  /** Null when the host uses no relays. */
  readonly simultaneousOpen: SimultaneousOpener | null
  connectionsTo(peer: PeerId): readonly SessionConnection[]
  /** Opens a new connection. */
  dial(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection>
  toldAddresses(peer: PeerId): Promise<readonly Multiaddr[]>
  /** Dials TLS where a connection leads that this side has dialled; null where it has not, or TLS is refused. */
  dialTls(
    peer: PeerId,
    beside: SessionConnection,
    options: { signal: AbortSignal },
  ): Promise<SessionConnection | null>
}

/** Device as far as the search for a direct path knows it. */
export interface RelayedPeer {
  readonly id: PeerId
  /** Session that new work goes to. */
  readonly session: Session | undefined
  /** Addresses that are known of it, besides those that it has told this host. */
  addresses(): readonly Multiaddr[]
  /** Opens a session over a better connection for new work. */
  moveTo(connection: SessionConnection, options: { signal: AbortSignal }): Promise<void>
}

export interface DirectPathParts {
  host: DirectPathHost
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
 * Search for a better path to one device: a direct one while its session is relayed, TLS while it is not but could be; the session
 * moves there. It tries at once, then ever more rarely, and at once again when there is news. Failures are normal and are not
 * reported.
 */
export class DirectPath {
  readonly #peer: RelayedPeer
  readonly #parts: DirectPathParts
  #search: Search | null = null
  #isMoving = false
  readonly #stop = new AbortController()

  constructor(peer: RelayedPeer, parts: DirectPathParts) {
    this.#peer = peer
    this.#parts = parts
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('this device is shutting down'))
    await this.#search?.done
  }

  /** Follows a session that comes into use: a relayed one is to be replaced, and the search for the one before ends. */
  sessionStarted(session: Session): void {
    const before = this.#search
    if (this.#stop.signal.aborted || before?.session === session) return
    before?.over.abort(new Error('there is a newer session'))
    if (isRelayedConnection(session.connection)) this.#search = this.#begin(session)
  }

  /** Tries to replace a direct session over Noise, with a device that speaks TLS as this one does: something kept the two from it. */
  withoutTls(session: Session): void {
    const isSearched = this.#search?.session === session || this.#stop.signal.aborted
    if (!isSearched && this.#peer.session === session) this.#search = this.#begin(session)
  }

  #begin(session: Session): Search {
    const before = this.#search
    const over = new AbortController()
    void session.closed.then(() => over.abort(new Error('the session has ended')))
    const sleep = new InterruptibleSleep(this.#parts.clock)
    // Searches run one after the other: two openings with one device at the same time would undo each other.
    const done = Promise.resolve(before?.done)
      .then(() => this.#keepTrying(session, sleep, AbortSignal.any([over.signal, this.#stop.signal])))
      .finally(() => {
        if (this.#search?.session === session) this.#search = null
      })
    return { session, sleep, over, done }
  }

  /** Searches at once: the device was seen in this network, or told new addresses, or this one's have changed. */
  hurry(): void {
    this.#search?.sleep.interrupt()
  }

  /** Uses a direct connection that came up, in either direction. */
  connectionOpened(connection: Connection): void {
    const session = this.#search?.session
    if (session === undefined || !isRelayedConnection(session.connection)) return
    if (!isRelayedConnection(connection)) void this.#move(session, connection)
  }

  /** Searches until the signal aborts. Never rejects. */
  async #keepTrying(session: Session, sleep: InterruptibleSleep, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      await this.#try(session, signal)
      await sleep.for(delaysMs[Math.min(tries, delaysMs.length - 1)] ?? 0, signal)
    }
  }

  async #try(session: Session, signal: AbortSignal): Promise<void> {
    const { host, clock, log } = this.#parts
    const { id } = this.#peer
    const { connection: relayed } = session
    if (isTls(relayed)) return
    if (!isRelayedConnection(relayed)) return this.#tryTls(session, signal)
    // A TLS connection brings its session with it.
    const open = host.connectionsTo(id).find((one) => one.status === 'open' && isDirectOfLibp2p(one))
    if (open !== undefined) return this.#move(session, open)
    const deadline = startDeadline(tryTimeoutMs, () => new Error('no direct way in time'), {
      signal,
      clock,
    })
    try {
      const ways: Promise<SessionConnection>[] = [this.#dial(relayed, deadline)]
      // Through the NATs on the way.
      if (host.simultaneousOpen !== null && this.#isAsker)
        ways.push(host.simultaneousOpen.open(relayed, deadline))
      const connection = await Promise.any(ways)
      await this.#move(session, connection)
    } catch (error) {
      const causes = error instanceof AggregateError ? error.errors.map(String) : [String(error)]
      log('debug', 'direct-path.not-found', { peer: id, errors: causes })
    } finally {
      // The slower path is aborted.
      deadline.abort(new Error('the try is over'))
    }
  }

  async #tryTls(session: Session, signal: AbortSignal): Promise<void> {
    const { host, clock, log } = this.#parts
    const { id } = this.#peer
    const deadline = startDeadline(tryTimeoutMs, () => new Error('no TLS in time'), { signal, clock })
    try {
      const connection = await host.dialTls(id, session.connection, deadline)
      if (connection !== null) await this.#move(session, connection)
    } catch (error) {
      log('debug', 'direct-path.without-tls', { peer: id, error: String(error) })
    } finally {
      deadline.stop()
    }
  }

  async #dial(relayed: Connection, { signal }: { signal: AbortSignal }): Promise<SessionConnection> {
    const { host } = this.#parts
    const { id } = this.#peer
    // The device may tell this one's own machine; what is on the machine of the relay may be there, too.
    const isHere = classOfIp(relayed.remoteAddr.getComponents()[0]?.value ?? '') === 'loopback'
    const told = (await host.toldAddresses(id)).filter((address) => {
      const kind = classOfAddress(address)
      return kind !== null && (kind !== 'loopback' || isHere)
    })
    const known = [...this.#peer.addresses(), ...told]
    const direct = known.filter((address) => !isRelayed(address)).slice(0, maxAddresses)
    if (direct.length === 0) throw new SpacedockError('offline', 'No address of the other device is known.')
    return host.dial(id, direct, { signal })
  }

  /** Whether this one of the two devices arranges a simultaneous open, and moves the session. */
  get #isAsker(): boolean {
    return this.#parts.host.peerId < this.#peer.id
  }

  /** Moves the session: the asker does, or the one that has dialled TLS, which nobody else can. Never rejects. */
  async #move(session: Session, connection: SessionConnection): Promise<void> {
    const isMover = this.#isAsker || isTls(connection)
    if (!isMover || this.#isMoving || this.#peer.session !== session) {
      if (isTls(connection)) await connection.close()
      return
    }
    this.#isMoving = true
    try {
      await this.#peer.moveTo(connection, { signal: this.#stop.signal })
    } catch (error) {
      this.#parts.log('debug', 'direct-path.not-used', { peer: this.#peer.id, error: String(error) })
    } finally {
      this.#isMoving = false
    }
  }
}

function isDirectOfLibp2p(connection: SessionConnection): boolean {
  return !isTls(connection) && !isRelayedConnection(connection)
}

const tryTimeoutMs = 20_000
const delaysMs = [5_000, 30_000, 120_000, 600_000]
const maxAddresses = 8
