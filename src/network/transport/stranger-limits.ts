import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import { networkOf } from '../addresses/network-of.ts'
import type { KnownPeers } from '../known-peers.ts'

export interface StrangerLimitsOptions {
  /** Peers that are no strangers: their connections are not counted, and nobody takes their places. */
  peers: Pick<KnownPeers, 'isPaired' | 'isPairing'>
  /** Places of all strangers together, and of those of one network: an IPv4 address, or the /64 of an IPv6 address. */
  places: { inAll: number; perNetwork: number }
  /** Time that a stranger's connection is kept without a stream. */
  idleMs: number
  clock: Clock
}

interface Stranger {
  readonly connection: Connection
  readonly network: string
  activeAtMs: number
}

/** Interval of looks at connections, which also sees streams that are held open. */
const lookEveryMs = 5_000

/**
 * Limits of the inbound connections of strangers. A newcomer always gets in: it takes the place of one that is idle, the longest
 * first, of its own network or else of the networks that have the most; where none is idle, of the one that was not used for longest.
 */
export class StrangerLimits {
  readonly #options: StrangerLimitsOptions
  readonly #strangers = new Set<Stranger>()
  #cancelTimer: (() => void) | null = null

  constructor(options: StrangerLimitsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#strangers.size
  }

  /** Takes a new connection. */
  opened(connection: Connection): void {
    const { clock } = this.#options
    if (connection.direction !== 'inbound' || this.#isKnown(connection)) return
    const network = networkOf(connection.remoteAddr)
    this.#makeRoom(network)
    const stranger = { connection, network, activeAtMs: clock.monotonic() }
    this.#strangers.add(stranger)
    connection.addEventListener('close', () => this.#strangers.delete(stranger), { once: true })
    onInboundStream(connection, () => (stranger.activeAtMs = clock.monotonic()))
    this.#cancelTimer ??= clock.after(lookEveryMs, () => this.#look())
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#strangers.clear()
  }

  /** Ends what has been idle for too long, and forgets those that are no strangers any more. */
  #look(): void {
    const { clock, idleMs } = this.#options
    const nowMs = clock.monotonic()
    for (const stranger of this.#strangers) {
      const { connection } = stranger
      if (connection.status !== 'open' || this.#isKnown(connection)) this.#strangers.delete(stranger)
      else if (connection.streams.length > 0) stranger.activeAtMs = nowMs
      else if (nowMs - stranger.activeAtMs >= idleMs) this.#end(stranger, 'idle for too long')
    }
    this.#cancelTimer = this.#strangers.size === 0 ? null : clock.after(lookEveryMs, () => this.#look())
  }

  #makeRoom(network: string): void {
    const { places } = this.#options
    // Those that have proved who they are since the last look hold no place any more.
    const strangers = [...this.#strangers].filter(({ connection }) => !this.#isKnown(connection))
    const mine = strangers.filter((each) => each.network === network)
    const isFull = strangers.length >= places.inAll
    if (mine.length < places.perNetwork && !isFull) return
    const crowd = mine.length >= places.perNetwork ? mine : ofFullestNetworks(strangers)
    const idle = crowd.filter(isIdle)
    const [longest] = (idle.length > 0 ? idle : crowd).toSorted(
      (one, other) => one.activeAtMs - other.activeAtMs,
    )
    if (longest !== undefined) this.#end(longest, 'another one takes its place')
  }

  #isKnown({ remotePeer }: Connection): boolean {
    const { peers } = this.#options
    const peer = peerIdOf(remotePeer)
    return peers.isPaired(peer) || peers.isPairing(peer)
  }

  #end(stranger: Stranger, why: string): void {
    this.#strangers.delete(stranger)
    stranger.connection.abort(new Error(why))
  }
}

/** Calls back for each stream that the other side opens; libp2p's public type of a connection leaves its muxer out. */
export function onInboundStream(connection: Connection, listener: (stream: Stream) => void): void {
  if (!('muxer' in connection)) return
  const { muxer } = connection as { muxer?: EventTarget }
  muxer?.addEventListener('stream', (event) => listener((event as CustomEvent<Stream>).detail))
}

/** Strangers of the network that has the most, or of all that have equally many: which network came first must not count. */
function ofFullestNetworks(strangers: Stranger[]): Stranger[] {
  const networks = [...Map.groupBy(strangers, ({ network }) => network).values()]
  const most = networks.reduce((size, { length }) => Math.max(size, length), 0)
  return networks.filter(({ length }) => length === most).flat()
}

function isIdle({ connection }: Stranger): boolean {
  return connection.streams.length === 0
}
