import type {
  ByteStream,
  CallOptions,
  Clock,
  ConnectionPath,
  Device,
  DeviceFailure,
  DeviceInfo,
  DeviceState,
  ErrorSchemas,
  EventProtocol,
  MessageContent,
  PingResult,
  Protocol,
  RequestOptions,
  SendOptions,
  SendResult,
  StreamProtocol,
} from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import { Semaphore } from '../semaphore.ts'
import { callProtocol, checkEvent, openProtocolStream } from '../network/application/application-protocols.ts'
import { untilAborted } from '../abort.ts'
import type { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import type { Session } from '../network/session/session.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { MessagingService } from '../protocols/messaging.ts'
import { versionsProtocol } from '../protocols/versions-protocol.ts'
import type { Store } from '../store/store.ts'
import type { ApplicationEvents } from './application-events.ts'
import type { DeviceRecords } from './device-records.ts'
import type { Lifetime } from './lifetime.ts'

export interface DeviceParts {
  lifetime: Lifetime
  store: Store
  clock: Clock
  supervisor: ConnectionSupervisor
  messaging: MessagingService
  records: DeviceRecords
  listener: Pick<ApplicationEvents, 'deviceRenamed'>
}

const infoKeys = Object.keys({
  id: true,
  name: true,
  peerId: true,
  state: true,
  needsPairing: true,
  path: true,
  limited: true,
  address: true,
  lastSeen: true,
  roundTripMs: true,
  connectedSince: true,
  lastFailure: true,
} satisfies Record<keyof DeviceInfo, true>) as (keyof DeviceInfo)[]

const callOptionNames: OptionNames<CallOptions> = { signal: true }
const requestOptionNames: OptionNames<RequestOptions> = { ...callOptionNames, timeoutMs: true }
const sendOptionNames: OptionNames<SendOptions> = { ...callOptionNames, expiresInMs: true }

/** Longest wait of a call for a device that is only just being connected. */
const connectPatienceMs = 3_000

/**
 * One device of this node, as the application has it and all that can be done with it. It looks everything up when asked, so that it
 * is never out of date. What it says of the device are its own enumerable properties and all that a copy of it holds, whether by
 * spreading, `structuredClone` or as JSON: a DeviceInfo.
 */
export class KnownDevice implements Device {
  declare readonly id: string
  declare readonly name: string
  declare readonly peerId: PeerId
  declare readonly state: DeviceState
  declare readonly needsPairing: DeviceInfo['needsPairing']
  declare readonly path: ConnectionPath | null
  declare readonly limited: boolean
  declare readonly address: string | null
  declare readonly lastSeen: string | null
  declare readonly roundTripMs: number | null
  declare readonly connectedSince: string | null
  declare readonly lastFailure: DeviceFailure | null
  readonly #peer: PeerId
  readonly #parts: DeviceParts
  /** Events on their way to the session, in the order in which they were emitted. */
  readonly #emitting = new Semaphore(1)

  constructor(peer: PeerId, parts: DeviceParts) {
    this.#peer = peer
    this.#parts = parts
    for (const key of infoKeys) {
      // Its peer id never changes: asking for that, as often as a message comes, needs no description.
      const get = key === 'peerId' ? () => peer : () => this.#describe()[key]
      Object.defineProperty(this, key, { enumerable: true, get })
    }
  }

  async send(content: MessageContent, options: SendOptions = {}): Promise<SendResult> {
    checkOptions(options, sendOptionNames, 'send')
    const { signal, expiresInMs } = options
    this.#parts.records.requirePaired(this.#peer)
    signal?.throwIfAborted()
    // The message is kept from here on; calling off means not to wait for it any longer.
    const connected = (): Promise<void> => this.#untilConnected(signal)
    return this.#parts.messaging.send(this.#peer, content, { connected, signal, expiresInMs })
  }

  async request<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    options: RequestOptions = {},
  ): Promise<Response> {
    checkOptions(options, requestOptionNames, 'request')
    const { signal, timeoutMs } = options
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw new SpacedockError('invalid-argument', 'A request needs a timeout of more than 0 ms.', {
        hint: 'Give timeoutMs in milliseconds, or Infinity.',
      })
    }
    const reachable = this.#untilReachable(signal)
    if (reachable !== undefined) await reachable
    return await callProtocol(protocol, request, (call) => this.#session().request(call, options))
  }

  async openStream<Request, Errors extends ErrorSchemas>(
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    options: CallOptions = {},
  ): Promise<ByteStream> {
    checkOptions(options, callOptionNames, 'openStream')
    const { signal } = options
    await this.#untilReachable(signal)
    const given = signal === undefined ? {} : { signal }
    return openProtocolStream(protocol, request, async (call, translation) =>
      this.#session().openStream(call, { ...given, ...translation }),
    )
  }

  async emit<Event>(protocol: EventProtocol<Event>, event: Event, options: CallOptions = {}): Promise<void> {
    checkOptions(options, callOptionNames, 'emit')
    const { signal } = options
    // The wait for a connection begins at once: many events wait for it no longer than one.
    const ready = (async () => {
      await this.#untilReachable(signal)
      return checkEvent(protocol, event)
    })()
    ready.catch(() => {}) // it is looked at when it is this event's turn
    const { sent } = await this.#emitting.run(async () => {
      const value = await ready
      signal?.throwIfAborted()
      return { sent: this.#session().emit({ name: protocol.name, version: protocol.version, value }) }
    })
    await (signal === undefined ? sent : untilAborted(sent, signal))
  }

  async versionsOf(name: string, options: CallOptions = {}): Promise<number[]> {
    checkOptions(options, callOptionNames, 'versionsOf')
    const protocol = versionsProtocol(() => [])
    return this.request(protocol, { name }, options)
  }

  async ping(options: CallOptions = {}): Promise<PingResult> {
    checkOptions(options, callOptionNames, 'ping')
    const { signal } = options
    await this.#untilReachable(signal)
    const session = this.#session()
    const roundTripMs = await session.ping(signal === undefined ? {} : { signal }).catch((error: unknown) => {
      // No answer came until the session was given up, or at all.
      const isAway = error instanceof SpacedockError && ['interrupted', 'timed-out'].includes(error.code)
      throw isAway ? this.#offline(error) : error
    })
    const { path, address } = this.#describe()
    return {
      roundTripMs,
      path: path ?? 'direct',
      address: address ?? session.connection.remoteAddr.toString(),
    }
  }

  async rename(name: string): Promise<void> {
    this.#parts.lifetime.requireOpen()
    // A device that does not know this one any more keeps its name, and may be given another.
    const state = this.#parts.store.trust.get(this.#peer)?.state
    if (state === undefined || state === 'revoked') throw this.#parts.records.notPaired(this.#peer)
    this.#parts.listener.deviceRenamed(this.#parts.store.registry.rename(this.#peer, name))
  }

  /** The tombstone is durable and every connection closed when this resolves; a device that is there knows it. */
  async revoke(): Promise<void> {
    this.#parts.lifetime.requireOpen()
    const { store, supervisor, messaging, records } = this.#parts
    try {
      store.registry.revoke(this.#peer)
    } finally {
      // Done also when only the identity's file could not be written after the tombstone.
      const record = store.trust.get(this.#peer)
      if (record?.state === 'revoked') {
        messaging.dropped(this.#peer, records.notPaired(this.#peer))
        await supervisor.drop(this.#peer, record.revocationNotice)
      }
    }
  }

  #describe(): DeviceInfo {
    return this.#parts.records.describe(this.#peer)
  }

  /**
   * Resolves when it is known whether the device is there; undefined where it is by now. Throws, or rejects with `not-paired`, `closed`,
   * `offline` or the signal's reason.
   */
  #untilReachable(signal: AbortSignal | undefined): Promise<void> | undefined {
    this.#parts.records.requirePaired(this.#peer)
    signal?.throwIfAborted()
    if (this.#isKnown) {
      this.#session()
      return undefined
    }
    return this.#untilKnown(signal)
  }

  async #untilKnown(signal: AbortSignal | undefined): Promise<void> {
    await this.#untilConnected(signal)
    signal?.throwIfAborted()
    this.#session()
  }

  /** Session in use at this moment: it may be another one after the next `await`. Throws `closed` or `offline`. */
  #session(): Session {
    this.#parts.lifetime.requireOpen()
    const session = this.#parts.supervisor.sessionOf(this.#peer)
    if (session !== undefined) return session
    throw this.#offline()
  }

  #offline(cause?: Error): SpacedockError {
    return new SpacedockError('offline', `The device "${this.#describe().name}" is not connected.`, {
      hint: 'Check that it is on, that Spacedock runs on it, and that both devices are on the same network.',
      cause,
    })
  }

  /** Whether it is known if the device is there: it is not when it was just paired, or this node just started. */
  get #isKnown(): boolean {
    return this.#parts.store.registry.stateOf(this.#peer) !== 'paired'
  }

  /** Waits for a device of which it is not known yet whether it is there: just paired, or this node just started. */
  async #untilConnected(signal: AbortSignal | undefined): Promise<void> {
    const { registry } = this.#parts.store
    if (this.#isKnown) return
    const known = new AbortController()
    const stop = registry.onChange((_, device) => {
      if (device.peerId === this.#peer && device.state !== 'paired') known.abort()
    })
    const ends = signal === undefined ? [known.signal] : [known.signal, signal]
    await pause(this.#parts.clock, connectPatienceMs, AbortSignal.any(ends))
    stop()
  }
}
