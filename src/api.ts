import type { StandardSchemaV1 } from '@standard-schema/spec'

/** The library's public types. `createNode` in node.ts makes them real. */

export interface NodeOptions {
  /** Directory for the identity, the trust and the messages; made with mode 0700 when it does not exist. */
  dataDir: string
  /** This device's name as other people's screens show it. Kept; without one, the host name. */
  name?: string
  /** Names of the network interfaces to use, such as `eth0`. Default: every usable one; loopback only when there is no other. */
  interfaces?: string[]
  /** TCP port to listen on. Default: chosen once at random, then kept. A port given here that is in use is an error. */
  port?: number
  /** Find devices on the local network by multicast DNS. @default true */
  mdns?: boolean
  /**
   * Multiaddrs of rendezvous nodes, each ending in /p2p/PEERID. Through them devices find each other, and reach each other
   * when there is no direct way, in other networks too. An unreachable one delays nothing. @default none
   */
  rendezvous?: string[]
  /** Use no rendezvous node and no DHT, whatever else is set. @default false */
  lanOnly?: boolean
  /**
   * `private`: the DHT of the rendezvous nodes. `public`: libp2p's public one, in which a second, throwaway identity looks and
   * publishes; this device's own is never seen there. @default 'private'
   */
  dht?: 'private' | 'public'
  /** Multiaddrs by which the public DHT is entered. @default libp2p's bootstrap nodes */
  dhtBootstrap?: string[]
  /** Where structured log lines go. Never holds words or keys. @default nowhere */
  log?: Log
  /** Injected by tests: time, randomness, storage, transport. */
  clock?: Clock
}

export interface Clock {
  /** Monotonic milliseconds: for deadlines and lifetimes. */
  monotonic(): number
  /** Wall clock, milliseconds since the epoch: for what people read. */
  wall(): number
  /** Calls back once after this many milliseconds, unless the function returned is called first. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, event: string, fields?: Record<string, unknown>) => void

export type DeviceState =
  /** seen on the network, not paired */
  | 'discovered'
  /** a pairing with it runs, or was agreed and is not finished */
  | 'pairing'
  /** trusted, and not looked for yet since this start */
  | 'paired'
  | 'connected'
  | 'disconnected'
  /** the other side says it does not know us: pair again */
  | 'needs-pairing'
  | 'revoked'

export type ConnectionPath = 'direct' | 'relayed'

/** A plain description of a device, as `devices` prints it. */
export interface DeviceInfo {
  /** 16 characters, derived from the peer id. */
  id: string
  name: string
  peerId: string
  state: DeviceState
  /** How it is connected now; null when it is not. */
  path: ConnectionPath | null
  /** Multiaddr of the live connection, else the last one that worked, else null. */
  address: string | null
  /** ISO 8601, or null when never. */
  lastSeen: string | null
  /** How long a round trip takes now, in milliseconds, smoothed; null while it is not connected or not measured. */
  roundTripMs: number | null
  /** ISO 8601: since when it is connected, whichever way; null when it is not. */
  connectedSince: string | null
  /** Why it could not be reached, or was lost, the last time since this node started; null when it was always there. */
  lastFailure: DeviceFailure | null
}

export interface DeviceFailure {
  /** ISO 8601 */
  at: string
  /** One of the codes of SpacedockError. */
  code: string
  /** A sentence for a person, such as `No answer at any of its 3 addresses.` */
  message: string
}

export interface SendResult {
  id: string
  /** `delivered`: durable at the receiver. `queued`: durable here, sent when the device is back. */
  status: 'delivered' | 'queued'
}

export interface PingResult {
  roundTripMs: number
  path: ConnectionPath
  address: string
}

export interface CallOptions {
  signal?: AbortSignal
}

/** A device one has paired with. Stays valid while the node runs; `state` and `name` are always current. */
export interface Device extends DeviceInfo {
  /** Resolves when the message is acknowledged as durable by the receiver, or durably queued here. */
  send(content: MessageContent, options?: CallOptions): Promise<SendResult>
  /** One request, one answer, both checked against the protocol's schemas. 30 s unless the signal ends it sooner. */
  request<Request, Response>(
    protocol: Protocol<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>
  ping(options?: CallOptions): Promise<PingResult>
  rename(name: string): Promise<void>
  /** Closes its connections, forgets its keys and remembers that it is not trusted any more. */
  revoke(): Promise<void>
}

/** A string is sent as text, anything else as JSON. */
export type MessageContent = string | { text: string } | { json: unknown }

export interface Message {
  id: string
  /** Position in this device's inbox: grows by arrival. */
  sequence: number
  from: { id: string; name: string }
  text?: string
  json?: unknown
  /** ISO 8601, the sender's clock. */
  at: string
}

export interface QueuedMessage {
  id: string
  to: { id: string; name: string }
  text?: string
  json?: unknown
  at: string
}

export interface ConfirmationRequest {
  /** The other device's name, sanitised. */
  name: string
  /** Six decimal digits; equal on both screens unless somebody sits in between. */
  digits: string
  /** The other device's id. */
  id: string
  peerId: string
}

/** Asks a person. The signal aborts when the answer is no longer needed. */
export type Confirm = (request: ConfirmationRequest, options: { signal: AbortSignal }) => Promise<boolean>

export type PairingProgress =
  /** A way of finding each other changed; `detail` is a short sentence part for people. */
  | {
      kind: 'source'
      source: 'local-network' | 'internet' | 'connected-peers' | 'addresses'
      status: 'ready' | 'unavailable'
      detail: string
    }
  /** The pairing reached another device that holds the code. */
  | { kind: 'contact' }
  /** The digits are known: the joiner shows them before it knows the name. */
  | { kind: 'digits'; digits: string }
  /** Waiting for the person at the other device. */
  | { kind: 'waiting' }

export interface PairOptions {
  /** @default nobody is asked: the code alone decides */
  confirm?: Confirm
  signal?: AbortSignal
  onProgress?: (progress: PairingProgress) => void
}

export interface JoinOptions extends PairOptions {
  /** Multiaddrs, each ending in /p2p/PEERID, to ask besides whoever is found. */
  peers?: string[]
  /** How long to look for the code's owner. @default 300_000 */
  timeoutMs?: number
}

/** A live code. */
export interface Invitation {
  /** Twelve words, separated by spaces. */
  readonly words: string
  /** `spacedock:` URI with the words and this device's addresses, for a QR code. */
  readonly uri: string
  /** 32 hex digits, the same on both sides; safe to show and log. */
  readonly sessionId: string
  readonly expiresAt: Date
  /** Rejects with a SpacedockError: expired, cancelled, declined, burnt, disk-full ... */
  readonly paired: Promise<Device>
  cancel(): Promise<void>
}

export interface HandlerContext {
  device: Device
  signal: AbortSignal
}

/** Made by `defineProtocol`. `name` is lower case letters, digits, dashes; `version` a whole number. */
export interface Protocol<Request, Response> {
  readonly name: string
  readonly version: number
  readonly request: StandardSchemaV1<unknown, Request>
  readonly response: StandardSchemaV1<unknown, Response>
  readonly handler?: (request: Request, context: HandlerContext) => Promise<Response> | Response
}

export interface NodeEvents {
  'device:discovered': { peerId: string }
  'device:paired': DeviceInfo
  'device:connected': DeviceInfo
  'device:disconnected': DeviceInfo
  /** It is still connected, but not relayed any more, or not directly any more. */
  'device:path-changed': DeviceInfo
  /** Another address, a round trip that takes far less or more time, or another reason why it cannot be reached. */
  'device:updated': DeviceInfo
  'device:renamed': DeviceInfo
  'device:needs-pairing': DeviceInfo
  'device:revoked': DeviceInfo
  message: Message
  'message:delivered': { id: string; to: string }
  'pairing:progress': { sessionId: string; role: 'initiator' | 'joiner'; progress: PairingProgress }
  'pairing:failed': { sessionId: string; role: 'initiator' | 'joiner'; code: string; message: string }
}

export interface NodeStatus {
  peerId: string
  id: string
  name: string
  /** Multiaddrs other devices can dial. */
  listen: string[]
  /** Paired devices. */
  devices: number
  /** Milliseconds since start. */
  uptimeMs: number
}

export interface SpacedockNode {
  readonly peerId: string
  readonly id: string
  readonly name: string
  status(): NodeStatus
  /** Shows a new code. Several may be live at once. */
  pair(options?: PairOptions): Promise<Invitation>
  /** Uses a code: twelve words in any usual spelling, or a `spacedock:` URI. Resolves when both sides are paired. */
  join(code: string, options?: JoinOptions): Promise<Device>
  /** Paired, needs-pairing and revoked devices. */
  devices(): Device[]
  /** By name, id, or a unique prefix of either; rejects `no-device` or `ambiguous-device`. */
  device(reference: string): Device
  rename(name: string): Promise<void>
  /** Serves a protocol to paired devices; the function returned stops it. */
  handle<Request, Response>(protocol: Protocol<Request, Response>): () => void
  /** What the inbox holds after `after` (default: all of it), then what arrives, until the signal aborts or the node closes. */
  messages(options?: { after?: number; signal?: AbortSignal }): AsyncIterableIterator<Message>
  inbox(options?: { after?: number }): Message[]
  outbox(): QueuedMessage[]
  addEventListener<K extends keyof NodeEvents>(
    type: K,
    listener: (event: CustomEvent<NodeEvents[K]>) => void,
  ): void
  removeEventListener<K extends keyof NodeEvents>(
    type: K,
    listener: (event: CustomEvent<NodeEvents[K]>) => void,
  ): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
