import type { Connection, PeerId, Startable, Stream, Upgrader } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'
import { CODE_P2P, multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import * as v from 'valibot'
import type { Clock, Log } from '../../api.ts'
import { pause } from '../../clock.ts'
import { SpacedockError } from '../../errors.ts'
import { abortReason, startDeadline } from '../deadline.ts'
import { isNeverDialled } from '../discovery/address-filter.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { chooseRandomPort } from '../listen-port.ts'
import { isRelayedConnection } from '../relayed-address.ts'
import { request, serve } from '../request-response.ts'
import type { OwnPorts } from './own-port.ts'
import { dialSimultaneously, type Role } from './simultaneous-dial.ts'

export const simultaneousOpenProtocol = '/spacedock/simultaneous-open/1.0.0'

/** A port of this device, and under which address and port the other side of its NAT sees it. */
export interface MappedPort {
  port: number
  /** `/ip4/203.0.113.7/tcp/23456` */
  seenAs: Multiaddr
}

/** Connections that this device has dialled show what NATs make of its ports: whoever is at the other end has told. */
export function mappedPortsOf(
  dialled: readonly { connection: Connection; observed: Multiaddr | undefined }[],
  ownPorts: OwnPorts,
): MappedPort[] {
  return dialled.flatMap(({ connection, observed }) => {
    const port = ownPorts.portOf(connection)
    const seenAs = observed === undefined ? null : withoutPeer(observed)
    return port === undefined || seenAs === null ? [] : [{ port, seenAs }]
  })
}

/** `/ip4/203.0.113.7/tcp/23456/p2p/12D3...` -> `/ip4/203.0.113.7/tcp/23456` */
function withoutPeer(address: Multiaddr): Multiaddr | null {
  const components = address.getComponents()
  if (components.some(({ name }) => name === 'p2p-circuit')) return null
  return components.at(-1)?.name === 'p2p' ? address.decapsulateCode(CODE_P2P) : address
}

export interface SimultaneousOpenOptions {
  /** The mapped ports of this device, the best first. */
  ports: () => readonly MappedPort[]
  /** A port of this device that nothing uses. @default a random one */
  freshPort?: () => Promise<number>
  /** Whether this peer may ask for it: addresses are told to paired devices only. */
  isAllowed: (peer: PeerId) => boolean
  clock: Clock
  log: Log
}

interface SimultaneousOpenComponents {
  peerId: PeerId
  registrar: Registrar
  transportManager: TransportManager
  upgrader: Upgrader
}

/** As a libp2p service; see SimultaneousOpen. */
export function simultaneousOpen(
  options: SimultaneousOpenOptions,
): (components: SimultaneousOpenComponents) => SimultaneousOpen {
  return (components) => new SimultaneousOpen(components, options)
}

/**
 * A direct connection between two devices that are each behind a NAT, by a TCP simultaneous open (RFC 9293, figure 8; RFC 5128,
 * section 3.4): both dial the other's public address at the same moment, from the very port that this address stands for. Each
 * NAT lets the other's packet in, because to it that is the answer to its own device's. It works with NATs that map one port of
 * a device to the same public port whoever is talked to; with others it comes to nothing, and the relayed connection stays.
 *
 * The device with the smaller peer id asks for it, over the relayed connection, and has the dialler's part afterwards, in
 * Noise and Yamux. PROTOCOL.md, 'Direct through NATs'.
 */
export class SimultaneousOpen implements Startable {
  readonly #components: SimultaneousOpenComponents
  readonly #options: SimultaneousOpenOptions
  /** What was agreed upon with a peer that may now say when. */
  readonly #agreed = new Map<string, Agreement>()
  /** What others asked for: one at a time with each. */
  readonly #running = new Map<string, { stop: AbortController; done: Promise<void> }>()
  #stop = new AbortController()

  constructor(components: SimultaneousOpenComponents, options: SimultaneousOpenOptions) {
    this.#components = components
    this.#options = options
  }

  async start(): Promise<void> {
    this.#stop = new AbortController()
    await this.#components.registrar.handle(
      simultaneousOpenProtocol,
      (stream, connection) => this.#answer(stream, connection),
      { maxInboundStreams: 4, runOnLimitedConnection: true },
    )
  }

  async stop(): Promise<void> {
    this.#stop.abort(new SpacedockError('closed', 'This device is shutting down.'))
    await this.#components.registrar.unhandle(simultaneousOpenProtocol)
    await Promise.all([...this.#running.values()].map(({ done }) => done))
    this.#agreed.clear()
  }

  /** Whether it is for this device to ask. */
  isAsker(peer: PeerId): boolean {
    return this.#components.peerId.toString() < peer.toString()
  }

  /**
   * A new, direct connection to the peer at the other end of this one. Only for the asker. Rejects when there is no pair of
   * addresses to try it with, when a few attempts have come to nothing, or with the signal's reason.
   */
  async open(relayed: Connection, { signal }: { signal: AbortSignal }): Promise<Connection> {
    const { log } = this.#options
    let failure: unknown
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const { agreement, roundTripMs } = await this.#arrange(relayed, signal)
      const { port, target } = agreement
      log('debug', 'simultaneous-open.attempt', { attempt, roundTripMs, port, to: target.address })
      try {
        return await this.#connect(relayed.remotePeer, agreement, 'dialer', {
          windowMs: roundTripMs + resendMs,
          signal,
        })
      } catch (error) {
        signal.throwIfAborted()
        log('debug', 'simultaneous-open.refused', { attempt, error: String(error) })
        failure = error
      }
    }
    throw failure
  }

  /** Resolves when the other side hears that it is time. */
  async #arrange(
    relayed: Connection,
    signal: AbortSignal,
  ): Promise<{ agreement: Agreement; roundTripMs: number }> {
    const ports = await this.#portsForOnce()
    if (ports.length === 0) throw new Error('no public address of this device is known')
    const { answer, roundTripMs } = await this.#ask(
      relayed,
      { addresses: ports.map(({ seenAs }) => seenAs.toString()) },
      signal,
    )
    const { yours, mine } = v.parse(answerSchema, answer)
    const own = ports.find(({ seenAs }) => seenAs.toString() === yours)
    const target = mine === null ? null : parseTarget(mine)
    if (own === undefined || target === null) throw new Error('the two have no addresses that fit')
    const stream = await this.#openStream(relayed, signal)
    const told = request(stream, encodeJson({ go: true }), { maxBytes, signal })
    told.catch(() => {})
    await pause(this.#options.clock, roundTripMs / 2, signal)
    signal.throwIfAborted()
    return { agreement: { port: own.port, target }, roundTripMs }
  }

  /**
   * The mapped ports, for one attempt. Where a NAT keeps a device's ports, fresh ones take their place: a router that has refused a
   * packet between two ports refuses what comes after it, too.
   */
  async #portsForOnce(): Promise<MappedPort[]> {
    const { ports, freshPort = chooseRandomPort } = this.#options
    return await Promise.all(
      ports()
        .slice(0, maxAddresses)
        .map(async (mapped) => {
          const [ip, tcp] = mapped.seenAs.getComponents()
          if (ip?.value === undefined || tcp?.value !== String(mapped.port)) return mapped
          const port = await freshPort()
          if (port === 0) return mapped
          return { port, seenAs: multiaddr(`/${ip.name}/${ip.value}/tcp/${port}`) }
        }),
    )
  }

  async #ask(
    relayed: Connection,
    question: object,
    signal: AbortSignal,
  ): Promise<{ answer: unknown; roundTripMs: number }> {
    const { clock } = this.#options
    const stream = await this.#openStream(relayed, signal)
    const startedAtMs = clock.monotonic()
    const options = { maxBytes, timeoutMs: exchangeTimeoutMs, signal, clock }
    const answer = decodeJson(await request(stream, encodeJson(question), options))
    return { answer, roundTripMs: clock.monotonic() - startedAtMs }
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
    // Decided before a byte is read, as for everything that is for paired devices.
    if (
      !this.#options.isAllowed(remotePeer) ||
      this.isAsker(remotePeer) ||
      !isRelayedConnection(connection)
    ) {
      return stream.abort(new SpacedockError('not-paired', 'The two devices are not paired.'))
    }
    const options = { maxBytes, timeoutMs: exchangeTimeoutMs, signal: this.#stop.signal }
    await serve(stream, { ...options, clock: this.#options.clock }, async (question) => {
      const asked = v.safeParse(questionSchema, decodeJson(question))
      if (!asked.success) return null
      if ('go' in asked.output) return this.#go(remotePeer)
      return encodeJson(await this.#agree(remotePeer, asked.output.addresses))
    })
  }

  /** Picks an address of each side, of one family. */
  async #agree(peer: PeerId, addresses: readonly string[]): Promise<v.InferOutput<typeof answerSchema>> {
    for (const { port, seenAs } of await this.#portsForOnce()) {
      const yours = addresses.find((address) => parseTarget(address)?.family === familyOf(seenAs))
      const target = yours === undefined ? null : parseTarget(yours)
      if (yours === undefined || target === null) continue
      this.#agreed.set(peer.toString(), { port, target })
      return { yours, mine: seenAs.toString() }
    }
    return { yours: null, mine: null }
  }

  #go(peer: PeerId): Uint8Array | null {
    const id = peer.toString()
    const agreement = this.#agreed.get(id)
    // Once only.
    if (agreement === undefined) return null
    this.#agreed.delete(id)
    // The attempt before has failed: it is the other side that asks for the next.
    this.#running.get(id)?.stop.abort(new Error('there is a newer attempt'))
    this.#running.delete(id)
    if (this.#running.size >= maxAtOnce) return null
    const stop = new AbortController()
    const done = this.#await(peer, agreement, AbortSignal.any([stop.signal, this.#stop.signal]))
    this.#running.set(id, { stop, done })
    const { port, target } = agreement
    this.#options.log('debug', 'simultaneous-open.go', { port, to: target.address })
    void done.finally(() => {
      if (this.#running.get(id)?.stop === stop) this.#running.delete(id)
    })
    return encodeJson({})
  }

  /** Never rejects: whoever asked will see whether it worked. */
  async #await(peer: PeerId, agreement: Agreement, signal: AbortSignal): Promise<void> {
    try {
      await this.#connect(peer, agreement, 'listener', { windowMs: answererWindowMs, signal })
    } catch (error) {
      this.#options.log('debug', 'simultaneous-open.failed', { error: String(error) })
    }
  }

  /** Dials once. The system sends the first packet again, after a second, as long as nobody refuses it. */
  async #connect(
    peer: PeerId,
    { port, target }: Agreement,
    role: Role,
    { windowMs, signal }: { windowMs: number; signal: AbortSignal },
  ): Promise<Connection> {
    const { clock } = this.#options
    const { transportManager } = this.#components
    const address = multiaddr(`${target.address}/p2p/${peer.toString()}`)
    const transport = transportManager.dialTransportForMultiaddr(address)
    if (transport === undefined) throw new Error(`no transport dials ${target.address}`)
    const deadline = startDeadline(windowMs + upgradeTimeoutMs, timedOut, { signal, clock })
    const closeWindow = clock.after(windowMs, () => deadline.abort(timedOut()))
    try {
      return await dialSimultaneously(transport, address, {
        localPort: port,
        role,
        upgrader: this.#components.upgrader,
        signal: deadline.signal,
        onOpen: closeWindow,
      })
    } catch (error) {
      throw deadline.signal.aborted ? abortReason(deadline.signal) : error
    } finally {
      closeWindow()
      deadline.stop()
    }
  }
}

interface Agreement {
  /** Of this device. */
  port: number
  target: Target
}

interface Target {
  /** `/ip4/203.0.113.7/tcp/23456` */
  address: string
  family: 'ip4' | 'ip6'
}

const maxAddresses = 4
const maxBytes = 4_096
/** At once, asked for by others. */
const maxAtOnce = 8
const exchangeTimeoutMs = 10_000
const maxAttempts = 4
/** After this long, and a round trip, the system has sent the first packet twice. */
const resendMs = 1_500
/** The asker comes with the next attempt earlier, or not at all. */
const answererWindowMs = 5_000
const upgradeTimeoutMs = 10_000

const addressSchema = v.pipe(v.string(), v.maxLength(200))
const questionSchema = v.union([
  v.object({ addresses: v.pipe(v.array(addressSchema), v.maxLength(maxAddresses)) }),
  v.object({ go: v.literal(true) }),
])
const answerSchema = v.object({ yours: v.nullable(addressSchema), mine: v.nullable(addressSchema) })

/** An IP address and a TCP port, nothing else, and none at which nobody's device can be. */
function parseTarget(text: string): Target | null {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch {
    return null
  }
  const [ip, tcp, ...more] = address.getComponents()
  const family = familyOf(address)
  if (family === null || tcp?.name !== 'tcp' || more.length > 0 || isNeverDialled(address)) return null
  return ip?.value === undefined ? null : { address: address.toString(), family }
}

function familyOf(address: Multiaddr): 'ip4' | 'ip6' | null {
  const [ip] = address.getComponents()
  return ip?.name === 'ip4' || ip?.name === 'ip6' ? ip.name : null
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The two devices could not be connected directly in time.')
}
