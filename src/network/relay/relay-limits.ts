import { AsyncLocalStorage } from 'node:async_hooks'
import type { Connection, Stream, StreamHandler, StreamMiddleware } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { networkOf } from '../addresses/network-of.ts'
import { ByteAllowance, meter } from './relay-meter.ts'

/** An address is an IPv4 address or an IPv6 /64: a household behind one router shares its limits. */
export interface RelayLimits {
  /** Limit of devices that can be reached over this relay at the same time; 0 for no relay. @default 1_024 */
  reservations?: number
  /** Limit of such devices behind one address. @default an eighth of all, but at least 4 */
  reservationsPerAddress?: number
  /** Requests of one peer in a minute: reservations and connections to others. @default 60 */
  requestsPerMinute?: number
  /** Such requests of all peers at one address. @default 240 */
  requestsPerMinuteAndAddress?: number
  /** Concurrent connections through the relay that one peer has opened. @default 16 */
  connectionsPerPeer?: number
  /** The same of all peers at one address. @default 64 */
  connectionsPerAddress?: number
  /** Concurrent connections through the relay. @default 1_024 */
  connections?: number
  /** Long-run rate of the bytes from one address through the relay. @default 2 MiB */
  bytesPerSecond?: number
  /** Burst beyond that rate. @default 16 MiB */
  burstBytes?: number
  /** Long-run rate of all bytes through the relay. @default 16 MiB */
  bytesPerSecondInAll?: number
  /** Burst beyond that rate. @default 64 MiB */
  burstBytesInAll?: number
  /** Bytes of one relayed connection, both directions together. @default 16 GiB */
  bytesPerConnection?: number
  /** Lifetime of one relayed connection. @default 24 h */
  connectionLifetimeMs?: number
}

const mebibyte = 1024 * 1024
const defaults: Omit<Required<RelayLimits>, 'reservationsPerAddress'> = {
  reservations: 1_024,
  requestsPerMinute: 60,
  requestsPerMinuteAndAddress: 240,
  connectionsPerPeer: 16,
  connectionsPerAddress: 64,
  connections: 1_024,
  bytesPerSecond: 2 * mebibyte,
  burstBytes: 16 * mebibyte,
  bytesPerSecondInAll: 16 * mebibyte,
  burstBytesInAll: 64 * mebibyte,
  bytesPerConnection: 16 * 1024 * mebibyte,
  connectionLifetimeMs: 24 * 3_600_000,
}

/** Fills in the defaults. Room for one household at least, and never the whole relay for one address. */
export function relayLimits(given: RelayLimits = {}): Required<RelayLimits> {
  const limits = { ...defaults, ...given }
  const share = Math.max(leastPerAddress, Math.floor(limits.reservations / 8))
  return { reservationsPerAddress: share, ...limits }
}

const leastPerAddress = 4
const lingerMs = 5_000

/** One address, or one device that the relay belongs to. */
interface Account {
  /** Number of relayed connections that it is an end of. */
  ends: number
  /** Number of these that it opened. */
  opened: number
  allowance: ByteAllowance
}

/** CONNECT request being handled. */
interface Asker {
  connection: Connection
  stream: Stream
}

/**
 * Keeps the peers of a relay within its limits. js-libp2p's relay knows reservations and limits that are the same for
 * everybody and end a connection; these slow a greedy one down and leave the others alone. Peer ids cost nothing, so addresses are
 * counted; devices that the relay belongs to count for themselves.
 */
export class RelayGuard {
  readonly #limits: Required<RelayLimits>
  readonly #clock: Clock
  readonly #isOwn: (peer: string) => boolean
  readonly #accounts = new Map<string, Account>()
  readonly #openedBy = new Map<string, number>()
  readonly #all: ByteAllowance
  readonly #asking = new AsyncLocalStorage<Asker>()
  #opened = 0
  /** Requests of peers and of accounts in the minute that began at `#minuteMs`. */
  #requests = new Map<string, number>()
  #minuteMs = Number.NEGATIVE_INFINITY

  /** @param isOwn whether the relay belongs to this peer, too */
  constructor(clock: Clock, limits: Required<RelayLimits>, isOwn: (peer: string) => boolean = () => false) {
    this.#clock = clock
    this.#limits = limits
    this.#isOwn = isOwn
    this.#all = new ByteAllowance(clock, limits.bytesPerSecondInAll, limits.burstBytesInAll)
  }

  /** Number of open relayed connections. */
  get connections(): number {
    return this.#opened
  }

  /** Wraps the handler of the relay's protocol: requests of whoever asks too often are refused unread. */
  guard(handle: StreamHandler): StreamHandler {
    return (stream, connection) => {
      if (!this.#mayAsk(connection)) return stream.abort(new Error('too many requests in a minute'))
      return this.#asking.run({ connection, stream }, () => handle(stream, connection))
    }
  }

  /** Joins the stream from the relay to the called peer with the caller's: from here on they belong together. */
  join: StreamMiddleware = (called, connection, next) => {
    const asker = this.#asking.getStore()
    if (asker !== undefined) this.#meterBoth(asker, called, connection)
    next(called, connection)
  }

  #accountOf(connection: Connection): string {
    const peer = connection.remotePeer.toString()
    return this.#isOwn(peer) ? peer : networkOf(connection.remoteAddr)
  }

  #mayAsk(connection: Connection): boolean {
    const { requestsPerMinute, requestsPerMinuteAndAddress } = this.#limits
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#minuteMs >= 60_000) {
      this.#minuteMs = nowMs
      this.#requests = new Map()
    }
    const peer = connection.remotePeer.toString()
    const account = this.#accountOf(connection)
    const ofPeer = add(this.#requests, peer, 1)
    const ofAccount = account === peer ? ofPeer : add(this.#requests, account, 1)
    return ofPeer <= requestsPerMinute && ofAccount <= requestsPerMinuteAndAddress
  }

  #meterBoth({ connection, stream }: Asker, called: Stream, calledBy: Connection): void {
    const { bytesPerConnection, connectionLifetimeMs } = this.#limits
    const peer = connection.remotePeer.toString()
    const [fromId, toId] = [this.#accountOf(connection), this.#accountOf(calledBy)]
    this.#refuseTooMany(peer, fromId)
    const [from, to] = [this.#enter(fromId, 1), this.#enter(toId, 0)]
    add(this.#openedBy, peer, 1)
    this.#opened++
    let left = bytesPerConnection
    const end = (why: string): void => {
      stream.abort(new Error(why))
      called.abort(new Error(why))
    }
    const onBytes = (bytes: number): void => {
      left -= bytes
      if (left < 0) end('the relayed connection has used up its bytes')
    }
    const clock = this.#clock
    const stops = [
      meter(stream, called, { clock, allowances: [from.allowance, this.#all], onBytes }),
      meter(called, stream, { clock, allowances: [to.allowance, this.#all], onBytes }),
      clock.after(connectionLifetimeMs, () => end('the relayed connection has lived long enough')),
    ]
    let open = true
    const leave = (): void => {
      if (!open) return
      open = false
      for (const stop of stops) stop()
      add(this.#openedBy, peer, -1)
      this.#opened--
      this.#leave(fromId, from, 1)
      this.#leave(toId, to, 0)
      // Bytes still under way may arrive; after that, one end without the other is of no use.
      clock.after(lingerMs, () => end('the other end of the relayed connection is gone'))
    }
    stream.addEventListener('close', leave, { once: true })
    called.addEventListener('close', leave, { once: true })
  }

  #refuseTooMany(peer: string, account: string): void {
    const { connections, connectionsPerAddress, connectionsPerPeer } = this.#limits
    if ((this.#openedBy.get(peer) ?? 0) >= connectionsPerPeer)
      throw new Error('too many relayed connections of one peer')
    if ((this.#accounts.get(account)?.opened ?? 0) >= connectionsPerAddress)
      throw new Error('too many relayed connections from one address')
    if (this.#opened >= connections) throw new Error('too many relayed connections')
  }

  #enter(id: string, opened: 0 | 1): Account {
    const { bytesPerSecond, burstBytes } = this.#limits
    const account = this.#accounts.get(id) ?? {
      ends: 0,
      opened: 0,
      allowance: new ByteAllowance(this.#clock, bytesPerSecond, burstBytes),
    }
    account.ends++
    account.opened += opened
    this.#accounts.set(id, account)
    return account
  }

  #leave(id: string, account: Account, opened: 0 | 1): void {
    account.ends--
    account.opened -= opened
    if (account.ends > 0) return
    // Removal waits until the allowance is full again, since a new connection starts with a full one.
    const { burstBytes, bytesPerSecond } = this.#limits
    this.#clock.after((burstBytes / bytesPerSecond) * 1000, () => {
      if (account.ends === 0 && this.#accounts.get(id) === account) this.#accounts.delete(id)
    })
  }
}

/** Returns the new count; a count of zero is not kept. */
function add(counts: Map<string, number>, key: string, difference: number): number {
  const sum = (counts.get(key) ?? 0) + difference
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
  return sum
}
