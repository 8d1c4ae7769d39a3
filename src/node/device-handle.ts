import type {
  ByteStream,
  CallOptions,
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
import type { PeerId } from '../pairing/peer-id.ts'

/** What a device handle asks of the node it belongs to. */
export interface DeviceActions {
  describe(peer: PeerId): DeviceInfo
  send(peer: PeerId, content: MessageContent, options: SendOptions): Promise<SendResult>
  request<Request, Response, Errors extends ErrorSchemas>(
    peer: PeerId,
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    options: RequestOptions,
  ): Promise<Response>
  openStream<Request, Errors extends ErrorSchemas>(
    peer: PeerId,
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    options: CallOptions,
  ): Promise<ByteStream>
  emit<Event>(peer: PeerId, protocol: EventProtocol<Event>, event: Event, options: CallOptions): Promise<void>
  versionsOf(peer: PeerId, name: string, options: CallOptions): Promise<number[]>
  ping(peer: PeerId, options: CallOptions): Promise<PingResult>
  rename(peer: PeerId, name: string): void
  revoke(peer: PeerId): Promise<void>
}

/** A handle that looks everything up when asked, so that it is never out of date. */
export class DeviceHandle implements Device {
  readonly peerId: PeerId
  readonly #actions: DeviceActions

  constructor(peerId: PeerId, actions: DeviceActions) {
    this.peerId = peerId
    this.#actions = actions
  }

  get id(): string {
    return this.#info.id
  }
  get name(): string {
    return this.#info.name
  }
  get state(): DeviceState {
    return this.#info.state
  }
  get needsPairing(): DeviceInfo['needsPairing'] {
    return this.#info.needsPairing
  }
  get path(): ConnectionPath | null {
    return this.#info.path
  }
  get limited(): boolean {
    return this.#info.limited
  }
  get address(): string | null {
    return this.#info.address
  }
  get lastSeen(): string | null {
    return this.#info.lastSeen
  }
  get roundTripMs(): number | null {
    return this.#info.roundTripMs
  }
  get connectedSince(): string | null {
    return this.#info.connectedSince
  }
  get lastFailure(): DeviceFailure | null {
    return this.#info.lastFailure
  }

  get #info(): DeviceInfo {
    return this.#actions.describe(this.peerId)
  }

  send(content: MessageContent, options: SendOptions = {}): Promise<SendResult> {
    return this.#actions.send(this.peerId, content, options)
  }

  request<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    options: RequestOptions = {},
  ): Promise<Response> {
    return this.#actions.request(this.peerId, protocol, request, options)
  }

  openStream<Request, Errors extends ErrorSchemas>(
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    options: CallOptions = {},
  ): Promise<ByteStream> {
    return this.#actions.openStream(this.peerId, protocol, request, options)
  }

  emit<Event>(protocol: EventProtocol<Event>, event: Event, options: CallOptions = {}): Promise<void> {
    return this.#actions.emit(this.peerId, protocol, event, options)
  }

  versionsOf(name: string, options: CallOptions = {}): Promise<number[]> {
    return this.#actions.versionsOf(this.peerId, name, options)
  }

  ping(options: CallOptions = {}): Promise<PingResult> {
    return this.#actions.ping(this.peerId, options)
  }

  async rename(name: string): Promise<void> {
    this.#actions.rename(this.peerId, name)
  }

  revoke(): Promise<void> {
    return this.#actions.revoke(this.peerId)
  }

  toJSON(): DeviceInfo {
    return this.#info
  }
}
