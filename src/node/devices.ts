import { peerIdFromString } from '@libp2p/peer-id'
import type {
  CallOptions,
  Clock,
  Device,
  DeviceInfo,
  MessageContent,
  PingResult,
  Protocol,
  SendResult,
} from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { callProtocol } from '../network/application-protocols.ts'
import type { ConnectionSupervisor } from '../network/supervisor/connection-supervisor.ts'
import type { Session } from '../network/session/session.ts'
import type { MessagingService } from '../protocols/messaging.ts'
import { deviceIdOf } from '../store/device-id.ts'
import type { Store } from '../store/store.ts'
import { DeviceHandle, type DeviceActions } from './device-handle.ts'

export interface DevicesParts {
  store: Store
  clock: Clock
  supervisor: ConnectionSupervisor
  messaging: MessagingService
  onRenamed: (device: DeviceInfo) => void
}

/** How long a call to a device that is only just being connected waits for it. */
const connectPatienceMs = 3_000

/** The devices of a node as the application sees them, one handle each. */
export class Devices implements DeviceActions {
  readonly #parts: DevicesParts
  readonly #handles = new Map<string, DeviceHandle>()

  constructor(parts: DevicesParts) {
    this.#parts = parts
  }

  /** Paired, needs-pairing and revoked ones. */
  list(): Device[] {
    return this.#parts.store.trust.list().map(({ peerId }) => this.handle(peerId))
  }

  find(reference: string): Device {
    return this.handle(this.#parts.store.registry.find(reference).peerId)
  }

  /** Only for a peer that is trusted. */
  trusted(peer: string): Device | undefined {
    return this.#parts.store.trust.get(peer)?.state === 'active' ? this.handle(peer) : undefined
  }

  countPaired(): number {
    return this.#parts.store.trust.list().filter(({ state }) => state === 'active').length
  }

  handle(peer: string): DeviceHandle {
    const known = this.#handles.get(peer) ?? new DeviceHandle(peer, this)
    this.#handles.set(peer, known)
    return known
  }

  describe(peer: string): DeviceInfo {
    const id = deviceIdOf(peer)
    const gone: DeviceInfo = {
      id,
      name: id,
      peerId: peer,
      state: 'revoked',
      path: null,
      address: null,
      lastSeen: null,
      roundTripMs: null,
      connectedSince: null,
      lastFailure: null,
    }
    return this.#parts.store.registry.get(peer) ?? gone
  }

  async send(peer: string, content: MessageContent, { signal }: CallOptions): Promise<SendResult> {
    this.#requirePaired(peer)
    signal?.throwIfAborted()
    // From here on the message is kept, and calling off means not to wait for it any longer.
    return this.#parts.messaging.send(peer, content, () => this.#untilConnected(peer, signal), signal)
  }

  async request<Request, Response>(
    peer: string,
    protocol: Protocol<Request, Response>,
    request: Request,
    { signal }: CallOptions,
  ): Promise<Response> {
    const session = await this.#requireSession(peer, signal)
    const options = signal === undefined ? {} : { signal }
    return callProtocol(protocol, request, (name, version, value) =>
      session.request(name, version, value, options),
    )
  }

  async ping(peer: string, { signal }: CallOptions): Promise<PingResult> {
    const session = await this.#requireSession(peer, signal)
    const roundTripMs = await session.ping(signal === undefined ? {} : { signal })
    const { path, address } = this.describe(peer)
    return {
      roundTripMs,
      path: path ?? 'direct',
      address: address ?? session.connection.remoteAddr.toString(),
    }
  }

  rename(peer: string, name: string): void {
    this.#parts.onRenamed(this.#parts.store.registry.rename(peer, name))
  }

  /** The tombstone is durable and every connection closed when this resolves. */
  async revoke(peer: string): Promise<void> {
    this.#parts.store.registry.revoke(peer)
    await this.#parts.supervisor.drop(peerIdFromString(peer))
  }

  #requirePaired(peer: string): void {
    const state = this.#parts.store.trust.get(peer)?.state
    if (state === 'active') return
    const { name } = this.describe(peer)
    const why =
      state === 'needs-pairing'
        ? `The device "${name}" does not know this one any more.`
        : `The device "${name}" is not paired with this one any more.`
    throw new SpacedockError('not-paired', why, {
      hint: 'Pair the two devices again: "spacedock pair" on one, "spacedock join" on the other.',
    })
  }

  async #requireSession(peer: string, signal: AbortSignal | undefined): Promise<Session> {
    this.#requirePaired(peer)
    signal?.throwIfAborted()
    await this.#untilConnected(peer, signal)
    signal?.throwIfAborted()
    const session = this.#parts.supervisor.sessionOf(peerIdFromString(peer))
    if (session !== undefined) return session
    throw new SpacedockError('offline', `The device "${this.describe(peer).name}" is not connected.`, {
      hint: 'Check that it is on, that Spacedock runs on it, and that both devices are on the same network.',
    })
  }

  /** Waits for a device of which it is not known yet whether it is there: just paired, or this node just started. */
  async #untilConnected(peer: string, signal: AbortSignal | undefined): Promise<void> {
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
