import type { Connection, PeerId, Startable, Stream, Upgrader } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'
import * as v from 'valibot'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { SpacedockError } from '../../errors.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import { startDeadline } from '../deadline.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import type { KnownPeers } from '../known-peers.ts'
import { chooseRandomPort } from '../transport/listen-port.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import { request, serve } from '../request-response.ts'
import { portKeepingByHost, type MappedPort } from '../addresses/mapped-ports.ts'
import { ownEnds } from './nat-kind.ts'
import { withMappingObserver } from './mapping-observer.ts'
import { OpeningAnswerer } from './opening-answerer.ts'
import { agree, answerSchema, type Agreement, type OwnEnd } from './opening-agreement.ts'
import { scheduleOf, shortRoundTripMs } from './opening-schedule.ts'
import { connectPairs } from './port-pairs.ts'

export const simultaneousOpenProtocol = '/spacedock/simultaneous-open/1.0.0'

export interface SimultaneousOpenOptions {
  /** Mappings of this device's ports as seen from outside. */
  ports: () => readonly MappedPort[]
  /** Returns a port of this device that nothing uses. @default a random one */
  freshPort?: () => Promise<number>
  /** Runs with an observer of mappings. @default with an identity made for it */
  withMappingObserver?: typeof withMappingObserver
  /** Peers that may ask: addresses are told to paired devices only. */
  peers: Pick<KnownPeers, 'isPaired'>
  clock: Clock
  log: Log
}

interface SimultaneousOpenComponents {
  peerId: PeerId
  registrar: Registrar
  transportManager: TransportManager
  upgrader: Upgrader
}

/** Creates SimultaneousOpen as a libp2p service. */
export function simultaneousOpen(
  options: SimultaneousOpenOptions,
): (components: SimultaneousOpenComponents) => SimultaneousOpen {
  return (components) => new SimultaneousOpen(components, options)
}

/**
 * Opens a direct connection between two devices that are each behind a NAT, by a TCP simultaneous open (RFC 9293, figure 8; RFC
 * 5128, section 3.4): both dial the other's public address at the same moment, from the very port behind that address. Each NAT
 * lets the other's packet in, because to it that is the answer to its own device's. It works with NATs of endpoint-independent
 * mapping; with others it fails, and the relayed connection stays.
 *
 * The device with the smaller peer id asks for it, over the relayed connection, and has the dialler's part afterwards, in Noise
 * and Yamux. PROTOCOL.md, 'Direct through NATs'.
 */
export class SimultaneousOpen implements Startable {
  readonly #components: SimultaneousOpenComponents
  readonly #options: SimultaneousOpenOptions
  #stop = new AbortController()
  #answerer: OpeningAnswerer | null = null

  constructor(components: SimultaneousOpenComponents, options: SimultaneousOpenOptions) {
    this.#components = components
    this.#options = options
  }

  async start(): Promise<void> {
    const { clock, log } = this.#options
    this.#stop = new AbortController()
    this.#answerer = new OpeningAnswerer({
      ownEnds: ({ signal }) => this.#ownEnds(signal),
      connect: (peer, pairs, { signal }) =>
        connectPairs(this.#components, peer, pairs, {
          role: 'listener',
          windowMs: answererWindowMs,
          spacingMs: 0,
          clock,
          signal,
        }),
      clock,
      log,
    })
    await this.#components.registrar.handle(
      simultaneousOpenProtocol,
      (stream, connection) => this.#answer(stream, connection),
      { maxInboundStreams: 4, runOnLimitedConnection: true },
    )
  }

  async stop(): Promise<void> {
    this.#stop.abort(new SpacedockError('closed', 'This device is shutting down.'))
    await this.#components.registrar.unhandle(simultaneousOpenProtocol)
    await this.#answerer?.stop()
  }

  /** Whether this device of the two asks. */
  isAsker(peer: PeerId): boolean {
    return this.#components.peerId.toString() < peer.toString()
  }

  /**
   * Opens a new, direct connection to the peer of the relayed one. Only for the asker. Rejects when no pair of addresses fits,
   * when a few attempts have failed, or with the signal's reason.
   */
  async open(relayed: Connection, { signal }: { signal: AbortSignal }): Promise<Connection> {
    const { clock, log } = this.#options
    let shortestMs = Infinity
    for (let attempt = 1; ; attempt++) {
      const agreement = await this.#agree(relayed, signal)
      const roundTripMs = await this.#measure(relayed, signal)
      // The shortest round trip is the path's; a longer one was a program's delay.
      shortestMs = Math.min(shortestMs, roundTripMs)
      const isShort = shortestMs < shortRoundTripMs
      const { most, pairs, waitMs, attempts, ...timing } = scheduleOf(agreement, roundTripMs, isShort)
      await this.#say(relayed, most, signal)
      await pause(clock, waitMs, signal)
      signal.throwIfAborted()
      const dialling = connectPairs(this.#components, relayed.remotePeer, pairs, {
        ...timing,
        role: 'dialer',
        clock,
        signal,
      })
      const [first] = pairs
      const told = { pairs: pairs.length, from: first?.port, to: first?.address }
      log('debug', 'simultaneous-open.attempt', { attempt, roundTripMs, ...told })
      try {
        return await dialling
      } catch (error) {
        signal.throwIfAborted()
        log('debug', 'simultaneous-open.refused', { attempt, error: String(error) })
        if (attempt >= attempts) throw error
      }
    }
  }

  async #agree(relayed: Connection, signal: AbortSignal): Promise<Agreement> {
    if (this.#options.ports().length === 0) throw new Error('no public address of this device is known')
    const own = await this.#ownEnds(signal)
    if (own.length === 0) throw new Error('the NAT of this device gives each connection any port')
    const answer = await this.#ask(relayed, { ends: own.map(({ end }) => end) }, signal)
    const { yours, mine } = v.parse(answerSchema, answer)
    const agreement = yours === null || mine === null ? null : agree(own.slice(yours, yours + 1), [mine])
    if (agreement === null) throw new Error('the two have no addresses that fit')
    return agreement
  }

  /** Measures the round trip, once both have their ports, so that it contains the path only. */
  async #measure(relayed: Connection, signal: AbortSignal): Promise<number> {
    const { clock } = this.#options
    const startedAtMs = clock.monotonic()
    await this.#ask(relayed, { ready: true }, signal)
    return clock.monotonic() - startedAtMs
  }

  /** Tells the other side to begin; resolves when that is under way. */
  async #say(relayed: Connection, most: number, signal: AbortSignal): Promise<void> {
    const stream = await this.#openStream(relayed, signal)
    const said = request(stream, encodeJson({ go: most }), { maxBytes, signal })
    said.catch(() => {})
  }

  async #ownEnds(signal: AbortSignal): Promise<OwnEnd[]> {
    const {
      ports,
      freshPort = chooseRandomPort,
      withMappingObserver: run = withMappingObserver,
    } = this.#options
    const seen = ports()
    if (![...portKeepingByHost(seen).values()].includes(false))
      return ownEnds(seen, { freshPort, observe: async () => null, signal })
    return run((observe) => ownEnds(seen, { freshPort, observe, signal }))
  }

  async #ask(relayed: Connection, question: object, signal: AbortSignal): Promise<unknown> {
    const { clock } = this.#options
    const stream = await this.#openStream(relayed, signal)
    const options = { maxBytes, timeoutMs: exchangeTimeoutMs, signal, clock }
    return decodeJson(await request(stream, encodeJson(question), options))
  }

  #openStream(relayed: Connection, signal: AbortSignal): Promise<Stream> {
    const { clock } = this.#options
    const deadline = startDeadline(exchangeTimeoutMs, timedOut, { signal, clock })
    return relayed
      .newStream(simultaneousOpenProtocol, { signal: deadline.signal, runOnLimitedConnection: true })
      .finally(() => deadline.stop())
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const { remotePeer } = connection
    // Access is decided before a byte is read, as for every protocol of paired devices.
    if (
      !this.#options.peers.isPaired(peerIdOf(remotePeer)) ||
      this.isAsker(remotePeer) ||
      !isRelayedConnection(connection)
    ) {
      return stream.abort(new SpacedockError('not-paired', 'The two devices are not paired.'))
    }
    const answerer = this.#answerer
    const { clock } = this.#options
    const options = { maxBytes, timeoutMs: exchangeTimeoutMs, clock, signal: this.#stop.signal }
    await serve(stream, options, async (question, { signal }) =>
      answerer === null ? null : answerer.answer(remotePeer, question, { signal }),
    )
  }
}

const maxBytes = 4_096
const exchangeTimeoutMs = 10_000
/** Window of the answerer; the asker's next attempt comes earlier, or not at all. */
const answererWindowMs = 5_000

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The two devices could not be connected directly in time.')
}
