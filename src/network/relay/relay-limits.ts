import { AsyncLocalStorage } from 'node:async_hooks'
import type { PeerId, Stream, StreamHandler, StreamMiddleware } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { ByteAllowance, meter } from './relay-meter.ts'

export interface RelayLimits {
  /** Limit of devices that can be reached over this relay at the same time. @default 1_024 */
  reservations?: number
  /** Limit of such devices behind one IPv4 address, or in one IPv6 /64. @default 64 */
  reservationsPerAddress?: number
  /** Requests of one peer in a minute: reservations and connections to others. @default 60 */
  requestsPerMinute?: number
  /** Concurrent connections through the relay that one peer has opened. @default 16 */
  connectionsPerPeer?: number
  /** Long-run rate of one peer's bytes through the relay. @default 2 MiB */
  bytesPerSecond?: number
  /** Burst beyond that rate. @default 16 MiB */
  burstBytes?: number
  /** Bytes of one relayed connection, both directions together. @default 16 GiB */
  bytesPerConnection?: number
  /** Lifetime of one relayed connection. @default 24 h */
  connectionLifetimeMs?: number
}

const mebibyte = 1024 * 1024
export const defaultRelayLimits: Required<RelayLimits> = {
  reservations: 1_024,
  reservationsPerAddress: 64,
  requestsPerMinute: 60,
  connectionsPerPeer: 16,
  bytesPerSecond: 2 * mebibyte,
  burstBytes: 16 * mebibyte,
  bytesPerConnection: 16 * 1024 * mebibyte,
  connectionLifetimeMs: 24 * 3_600_000,
}

const lingerMs = 5_000

interface Guest {
  /** Number of relayed connections that it is an end of. */
  ends: number
  /** Number of these that it opened. */
  opened: number
  allowance: ByteAllowance
}

/** CONNECT request being handled. */
interface Asker {
  peer: string
  stream: Stream
}

/**
 * Keeps the peers of a relay within its limits. js-libp2p's relay knows reservations and limits that are the same for
 * everybody and end a connection; these slow a greedy peer down and leave the others alone.
 */
export class RelayGuard {
  readonly #limits: Required<RelayLimits>
  readonly #clock: Clock
  readonly #guests = new Map<string, Guest>()
  readonly #asking = new AsyncLocalStorage<Asker>()
  /** Requests in the minute that began at `#minuteMs`. */
  #requests = new Map<string, number>()
  #minuteMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, limits: Required<RelayLimits>) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Number of open relayed connections. */
  get connections(): number {
    return [...this.#guests.values()].reduce((sum, { opened }) => sum + opened, 0)
  }

  /** Wraps the handler of the relay's protocol: requests of a peer that asks too often are refused unread. */
  guard(handle: StreamHandler): StreamHandler {
    return (stream, connection) => {
      const peer = connection.remotePeer.toString()
      if (!this.#mayAsk(peer)) return stream.abort(new Error('too many requests in a minute'))
      return this.#asking.run({ peer, stream }, () => handle(stream, connection))
    }
  }

  /** Joins the stream from the relay to the called peer with the caller's: from here on they belong together. */
  join: StreamMiddleware = (called, connection, next) => {
    const asker = this.#asking.getStore()
    if (asker !== undefined) this.#meterBoth(asker, called, connection.remotePeer)
    next(called, connection)
  }

  #mayAsk(peer: string): boolean {
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#minuteMs >= 60_000) {
      this.#minuteMs = nowMs
      this.#requests = new Map()
    }
    const asked = (this.#requests.get(peer) ?? 0) + 1
    this.#requests.set(peer, asked)
    return asked <= this.#limits.requestsPerMinute
  }

  #meterBoth({ peer, stream }: Asker, called: Stream, calledPeer: PeerId): void {
    const { connectionsPerPeer, bytesPerConnection, connectionLifetimeMs } = this.#limits
    if ((this.#guests.get(peer)?.opened ?? 0) >= connectionsPerPeer) {
      throw new Error('too many relayed connections of one peer')
    }
    const [from, to] = [this.#enter(peer, 1), this.#enter(calledPeer.toString(), 0)]
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
      meter(stream, called, { clock, allowance: from.allowance, onBytes }),
      meter(called, stream, { clock, allowance: to.allowance, onBytes }),
      clock.after(connectionLifetimeMs, () => end('the relayed connection has lived long enough')),
    ]
    let open = true
    const leave = (): void => {
      if (!open) return
      open = false
      for (const stop of stops) stop()
      this.#leave(peer, from, 1)
      this.#leave(calledPeer.toString(), to, 0)
      // Bytes still under way may arrive; after that, one end without the other is of no use.
      clock.after(lingerMs, () => end('the other end of the relayed connection is gone'))
    }
    stream.addEventListener('close', leave, { once: true })
    called.addEventListener('close', leave, { once: true })
  }

  #enter(peer: string, opened: 0 | 1): Guest {
    const { bytesPerSecond, burstBytes } = this.#limits
    const guest = this.#guests.get(peer) ?? {
      ends: 0,
      opened: 0,
      allowance: new ByteAllowance(this.#clock, bytesPerSecond, burstBytes),
    }
    guest.ends++
    guest.opened += opened
    this.#guests.set(peer, guest)
    return guest
  }

  #leave(peer: string, guest: Guest, opened: 0 | 1): void {
    guest.ends--
    guest.opened -= opened
    if (guest.ends > 0) return
    // Removal waits until the allowance is full again, since a new connection starts with a full one.
    const { burstBytes, bytesPerSecond } = this.#limits
    this.#clock.after((burstBytes / bytesPerSecond) * 1000, () => {
      if (guest.ends === 0 && this.#guests.get(peer) === guest) this.#guests.delete(peer)
    })
  }
}
