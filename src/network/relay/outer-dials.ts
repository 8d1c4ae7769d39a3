import type { Connection, PeerId, Startable, Transport, Upgrader } from '@libp2p/interface'
import { transportSymbol } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { pause } from '../../clock.ts'
import { untilAborted } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import { chooseRandomPort } from '../transport/listen-port.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import { portKeepingByHost, type MappedPort } from '../addresses/mapped-ports.ts'
import { behindOuterAddress } from '../addresses/outer-address.ts'
import { dialSimultaneously } from './simultaneous-dial.ts'

interface OuterDialsComponents {
  peerId: PeerId
  connectionManager: { getConnections(peer: PeerId): Connection[] }
}

interface OuterDial {
  /** Peer id, base58btc. */
  peer: string
  result: Promise<Connection>
  /** End of the dial; monotonic ms. */
  untilMs: number
}

/**
 * Dials outer addresses, all from one port. A dial goes on for a while after its caller has given up: the path opens when the
 * other device dials, too, and that may be later.
 */
export class OuterDials implements Startable {
  readonly #clock: Clock
  readonly #ports: () => readonly Pick<MappedPort, 'port' | 'seenAs'>[]
  readonly #dials = new Map<string, OuterDial>()
  readonly #stop = new AbortController()
  #port = 0

  /** Takes `ports`, the mappings of this device's ports as seen from outside. */
  constructor(clock: Clock, ports: () => readonly Pick<MappedPort, 'port' | 'seenAs'>[] = () => []) {
    this.#clock = clock
    this.#ports = ports
  }

  /** Local port of all dials; 0 before the start. */
  get port(): number {
    return this.#port
  }

  async start(): Promise<void> {
    this.#port = await chooseRandomPort()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('this device is shutting down'))
    await Promise.allSettled([...this.#dials.values()].map(({ result }) => result))
  }

  /** Transport for outer addresses, which dials through the one for TCP. */
  transport(tcp: () => Transport): (components: OuterDialsComponents) => Transport {
    return (components) =>
      new OuterTransport((address, upgrader, signal) => {
        const target = targetOf(address)
        const dial = this.#join(address, target.peer, () => this.#run(components, tcp(), target, upgrader))
        return untilAborted(dial, signal)
      })
  }

  #join(address: Multiaddr, peer: string, run: () => Promise<Connection>): Promise<Connection> {
    const key = address.toString()
    const untilMs = this.#clock.monotonic() + lingerMs
    const running = this.#dials.get(key)
    if (running !== undefined) {
      running.untilMs = untilMs
      return running.result
    }
    const ofPeer = [...this.#dials.values()].filter((each) => each.peer === peer).length
    if (this.#port === 0 || this.#dials.size >= maxAtOnce || ofPeer >= maxOfPeer)
      throw new Error('no more outer addresses are dialled')
    if (!this.#mayBeMet(address)) throw new Error('the NAT of this device does not keep its ports')
    const dial: OuterDial = { peer, result: Promise.resolve().then(run), untilMs }
    this.#dials.set(key, dial)
    const forget = (): void => void this.#dials.delete(key)
    dial.result.then(forget, forget)
    return dial.result
  }

  /** Whether the other device can expect a dial from here: a NAT known not to keep ports would send it from another one. */
  #mayBeMet(address: Multiaddr): boolean {
    const [ip] = address.getComponents()
    const known = [...portKeepingByHost(this.#ports())].filter(([host]) => host.startsWith(`/${ip?.name}/`))
    return known.length === 0 || known.some(([, isKept]) => isKept)
  }

  async #run(
    { peerId, connectionManager }: OuterDialsComponents,
    tcp: Transport,
    { address, plain, peer: other }: Target,
    upgrader: Upgrader,
  ): Promise<Connection> {
    const role = peerId.toString() < other ? 'dialer' : 'listener'
    const { signal } = this.#stop
    const isOver = (): boolean =>
      signal.aborted ||
      !this.#mayBeMet(address) ||
      this.#clock.monotonic() > (this.#dials.get(address.toString())?.untilMs ?? 0) ||
      connectionManager.getConnections(peerIdFromString(other)).some((one) => !isRelayedConnection(one))
    let pauseMs = firstPauseMs
    for (;;) {
      const deadline = startDeadline(dialMs, () => new Error('nobody dials from there'), { signal })
      const startedAtMs = this.#clock.monotonic()
      try {
        return await dialSimultaneously(tcp, plain, {
          localPort: this.#port,
          role,
          upgrader,
          signal: deadline.signal,
        })
      } catch (error) {
        if (isOver()) throw error
      } finally {
        deadline.stop()
      }
      // A refused dial is repeated later each time; an unanswered one at once.
      const wasRefused = this.#clock.monotonic() - startedAtMs < dialMs / 2
      if (wasRefused) await pause(this.#clock, pauseMs, signal)
      if (wasRefused) pauseMs = Math.min(longestPauseMs, pauseMs * 2)
      if (isOver()) throw new Error('the other device was not reached at its outer address')
    }
  }
}

interface Target {
  address: Multiaddr
  plain: Multiaddr
  /** Peer id, base58btc. */
  peer: string
}

function targetOf(address: Multiaddr): Target {
  const plain = behindOuterAddress(address)
  const peer = address.getComponents().find(({ code }) => code === CODE_P2P)?.value
  if (plain === null || peer === undefined) throw new Error('not an outer address of a peer')
  return { address, plain, peer }
}

type Dial = (address: Multiaddr, upgrader: Upgrader, signal: AbortSignal) => Promise<Connection>

class OuterTransport {
  readonly [Symbol.toStringTag] = 'spacedock-outer'
  readonly [transportSymbol] = true as const
  readonly dial: Transport['dial']
  readonly listenFilter = (): Multiaddr[] => []

  constructor(dial: Dial) {
    this.dial = async (address, { upgrader, signal }) => dial(address, upgrader, signal)
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => behindOuterAddress(address) !== null)
  }

  createListener(): never {
    throw new Error('nobody listens at outer addresses')
  }
}

/** Lifetime of a dial after its caller gave up: longer than the supervisor's longest pause between two tries. */
const lingerMs = 90_000
/** Timeout of one TCP dial: the system sends the first packet again after 1, 3 and 7 s. */
const dialMs = 15_000
const firstPauseMs = 1_000
const longestPauseMs = 30_000
const maxAtOnce = 32
/** Limit per peer: a device has two; after a change of networks, the earlier ones are still dialled for a while. */
const maxOfPeer = 4
