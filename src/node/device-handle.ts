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
import { checkOptions, type OptionNames } from '../known-options.ts'

/** Actions of the node on behalf of a device handle. */
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

/**
 * A handle that looks everything up when asked, so that it is never out of date. The device's facts are its own enumerable
 * properties and all that a copy of it holds, whether by spreading, `structuredClone` or as JSON: a DeviceInfo.
 */
export class DeviceHandle implements Device {
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
  readonly #actions: DeviceActions

  constructor(peer: PeerId, actions: DeviceActions) {
    this.#peer = peer
    this.#actions = actions
    for (const key of infoKeys) {
      Object.defineProperty(this, key, { enumerable: true, get: () => actions.describe(peer)[key] })
    }
  }

  async send(content: MessageContent, options: SendOptions = {}): Promise<SendResult> {
    checkOptions(options, sendOptionNames, 'send')
    return this.#actions.send(this.#peer, content, options)
  }

  async request<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    options: RequestOptions = {},
  ): Promise<Response> {
    checkOptions(options, requestOptionNames, 'request')
    return this.#actions.request(this.#peer, protocol, request, options)
  }

  async openStream<Request, Errors extends ErrorSchemas>(
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    options: CallOptions = {},
  ): Promise<ByteStream> {
    checkOptions(options, callOptionNames, 'openStream')
    return this.#actions.openStream(this.#peer, protocol, request, options)
  }

  async emit<Event>(protocol: EventProtocol<Event>, event: Event, options: CallOptions = {}): Promise<void> {
    checkOptions(options, callOptionNames, 'emit')
    return this.#actions.emit(this.#peer, protocol, event, options)
  }

  async versionsOf(name: string, options: CallOptions = {}): Promise<number[]> {
    checkOptions(options, callOptionNames, 'versionsOf')
    return this.#actions.versionsOf(this.#peer, name, options)
  }

  async ping(options: CallOptions = {}): Promise<PingResult> {
    checkOptions(options, callOptionNames, 'ping')
    return this.#actions.ping(this.#peer, options)
  }

  async rename(name: string): Promise<void> {
    this.#actions.rename(this.#peer, name)
  }

  revoke(): Promise<void> {
    return this.#actions.revoke(this.#peer)
  }
}
