import type {
  ByteStream,
  CallOptions,
  Clock,
  Device,
  DeviceInfo,
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
import { callProtocol, checkEvent, openProtocolStream } from '../network/application-protocols.ts'
import { untilAborted } from '../network/deadline.ts'
import type { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import type { Session } from '../network/session/session.ts'
import type { MessagingService } from '../protocols/messaging.ts'
import { versionsProtocol } from '../protocols/versions.ts'
import { deviceIdOf } from '../store/device-id.ts'
import type { Store } from '../store/store.ts'
import { DeviceHandle, type DeviceActions } from './device-handle.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerOf } from '../peer-id.ts'

export interface DevicesParts {
  /** Throws `closed` when the node is. */
  requireOpen: () => void
  store: Store
  clock: Clock
  supervisor: ConnectionSupervisor
  messaging: MessagingService
  onRenamed: (device: DeviceInfo) => void
}

/** Time that a call waits for a device that is only just being connected. */
const connectPatienceMs = 3_000

/** The devices of a node as the application sees them, one handle each. */
export class Devices implements DeviceActions {
  readonly #parts: DevicesParts
  readonly #handles = new Map<PeerId, DeviceHandle>()
  /** The event last emitted to each device, which the next one waits for to be handed over. */
  readonly #emitting = new Map<PeerId, Promise<void>>()

  constructor(parts: DevicesParts) {
    this.#parts = parts
  }

  /** Paired, needs-pairing and revoked devices. */
  list(): Device[] {
    return this.#parts.store.trust.list().map(({ peerId }) => this.handle(peerId))
  }

  find(reference: string): Device {
    return this.handle(peerOf(this.#parts.store.registry.find(reference)))
  }

  /** Handle of a trusted peer; undefined for any other. */
  trusted(peer: PeerId): Device | undefined {
    return this.#parts.store.trust.get(peer)?.state === 'active' ? this.handle(peer) : undefined
  }

  trustedPeers(): PeerId[] {
    const active = this.#parts.store.trust.list().filter(({ state }) => state === 'active')
    return active.map(({ peerId }) => peerId)
  }

  countPaired(): number {
    return this.trustedPeers().length
  }

  handle(peer: PeerId): DeviceHandle {
    const known = this.#handles.get(peer) ?? new DeviceHandle(peer, this)
    this.#handles.set(peer, known)
    return known
  }

  describe(peer: PeerId): DeviceInfo {
    const id = deviceIdOf(peer)
    const gone: DeviceInfo = {
      id,
      name: id,
      peerId: peer,
      state: 'revoked',
      needsPairing: null,
      path: null,
      limited: false,
      address: null,
      lastSeen: null,
      roundTripMs: null,
      connectedSince: null,
      lastFailure: null,
    }
    return this.#parts.store.registry.get(peer) ?? gone
  }

  async send(peer: PeerId, content: MessageContent, options: SendOptions): Promise<SendResult> {
    const { signal, expiresInMs } = options
    this.requirePaired(peer)
    signal?.throwIfAborted()
    // The message is kept from here on, and calling off means not to wait for it any longer.
    const connected = (): Promise<void> => this.#untilConnected(peer, signal)
    return this.#parts.messaging.send(peer, content, { connected, signal, expiresInMs })
  }

  async request<Request, Response, Errors extends ErrorSchemas>(
    peer: PeerId,
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    { signal, timeoutMs }: RequestOptions,
  ): Promise<Response> {
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw new SpacedockError('invalid-argument', 'A request needs a timeout of more than 0 ms.', {
        hint: 'Give timeoutMs in milliseconds, or Infinity.',
      })
    }
    await this.#untilReachable(peer, signal)
    const options = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) }
    return callProtocol(protocol, request, async (call) => this.#session(peer).request(call, options))
  }

  async openStream<Request, Errors extends ErrorSchemas>(
    peer: PeerId,
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    { signal }: CallOptions,
  ): Promise<ByteStream> {
    await this.#untilReachable(peer, signal)
    const options = signal === undefined ? {} : { signal }
    return openProtocolStream(protocol, request, async (call, translation) =>
      this.#session(peer).openStream(call, { ...options, ...translation }),
    )
  }

  async emit<Event>(
    peer: PeerId,
    protocol: EventProtocol<Event>,
    event: Event,
    { signal }: CallOptions,
  ): Promise<void> {
    const before = this.#emitting.get(peer)
    const handing = (async () => {
      await this.#untilReachable(peer, signal)
      const checked = await checkEvent(protocol, event)
      await before
      signal?.throwIfAborted()
      return {
        sent: this.#session(peer).emit({ name: protocol.name, version: protocol.version, value: checked }),
      }
    })()
    const handed = settled(handing)
    this.#emitting.set(peer, handed)
    try {
      const { sent } = await handing
      await (signal === undefined ? sent : untilAborted(sent, signal))
    } finally {
      if (this.#emitting.get(peer) === handed) this.#emitting.delete(peer)
    }
  }

  async versionsOf(peer: PeerId, name: string, options: CallOptions): Promise<number[]> {
    return this.request(
      peer,
      versionsProtocol(() => []),
      { name },
      options,
    )
  }

  async ping(peer: PeerId, { signal }: CallOptions): Promise<PingResult> {
    await this.#untilReachable(peer, signal)
    const session = this.#session(peer)
    const roundTripMs = await session.ping(signal === undefined ? {} : { signal }).catch((error: unknown) => {
      // The device did not answer until the session was given up, or at all.
      const isAway = error instanceof SpacedockError && ['interrupted', 'timed-out'].includes(error.code)
      throw isAway ? this.#offline(peer, error) : error
    })
    const { path, address } = this.describe(peer)
    return {
      roundTripMs,
      path: path ?? 'direct',
      address: address ?? session.connection.remoteAddr.toString(),
    }
  }

  rename(peer: PeerId, name: string): void {
    this.#parts.requireOpen()
    // A device that does not know this one any more keeps its name, and may be given another.
    const state = this.#parts.store.trust.get(peer)?.state
    if (state === undefined || state === 'revoked') throw this.#notPaired(peer)
    this.#parts.onRenamed(this.#parts.store.registry.rename(peer, name))
  }

  /** The tombstone is durable and every connection closed when this resolves; a device that is there knows it. */
  async revoke(peer: PeerId): Promise<void> {
    this.#parts.requireOpen()
    const { store, supervisor, messaging } = this.#parts
    try {
      store.registry.revoke(peer)
    } finally {
      // The record is there even when only the identity's file could not be written after it.
      const record = store.trust.get(peer)
      if (record?.state === 'revoked') {
        messaging.dropped(peer, this.#notPaired(peer))
        await supervisor.drop(peer, record.farewell)
      }
    }
  }

  /** Throws `not-paired`, or `closed`. */
  requirePaired(peer: PeerId): void {
    this.#parts.requireOpen()
    if (this.#parts.store.trust.get(peer)?.state !== 'active') throw this.#notPaired(peer)
  }

  #notPaired(peer: PeerId): SpacedockError {
    const { name, needsPairing } = this.describe(peer)
    const why =
      needsPairing === 'revoked'
        ? `The device "${name}" has ended the pairing.`
        : needsPairing === 'unknown'
          ? `The device "${name}" does not know this one any more.`
          : `The device "${name}" is not paired with this one any more.`
    return new SpacedockError('not-paired', why, {
      hint: 'Pair the two devices again.',
    })
  }

  /** Rejects with `not-paired`, `closed`, `offline` or the signal's reason. */
  async #untilReachable(peer: PeerId, signal: AbortSignal | undefined): Promise<void> {
    this.requirePaired(peer)
    signal?.throwIfAborted()
    await this.#untilConnected(peer, signal)
    signal?.throwIfAborted()
    this.#session(peer)
  }

  /** Session in use at this moment: it may be another one after the next `await`. Throws `closed` or `offline`. */
  #session(peer: PeerId): Session {
    this.#parts.requireOpen()
    const session = this.#parts.supervisor.sessionOf(peer)
    if (session !== undefined) return session
    throw this.#offline(peer)
  }

  #offline(peer: PeerId, cause?: Error): SpacedockError {
    return new SpacedockError('offline', `The device "${this.describe(peer).name}" is not connected.`, {
      hint: 'Check that it is on, that Spacedock runs on it, and that both devices are on the same network.',
      cause,
    })
  }

  /** Waits for a device of which it is not known yet whether it is there: just paired, or this node just started. */
  async #untilConnected(peer: PeerId, signal: AbortSignal | undefined): Promise<void> {
    const { registry } = this.#parts.store
    if (registry.get(peer)?.state !== 'paired') return
    const known = new AbortController()
    const stop = registry.onChange((_, device) => {
      if (device.peerId === peer && device.state !== 'paired') known.abort()
    })
    const ends = signal === undefined ? [known.signal] : [known.signal, signal]
    await pause(this.#parts.clock, connectPatienceMs, AbortSignal.any(ends))
    stop()
  }
}

/** Resolves when the promise has settled, either way. */
async function settled(promise: Promise<unknown>): Promise<void> {
  await Promise.allSettled([promise])
}
