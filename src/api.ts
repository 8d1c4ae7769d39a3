/* oxlint-disable max-lines -- the whole contract of the library, which the package ships to be read from top to bottom */
import type { ReadableStream, WritableStream } from 'node:stream/web'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { NodeMetrics } from './metrics.ts'

/** Public types of the library. `createNode` in node.ts makes them real. */

/** Options of `createNode`. */
export interface NodeOptions {
  /** Directory for the identity, the trust and the messages; made with mode 0700 when it does not exist. */
  dataDir: string
  /** This device's name as other people's screens show it. Kept; without one, the host name. */
  name?: string
  /**
   * Names of the network interfaces to use, such as `eth0`: at least one, and none that this system has not. One that is down is
   * used when it is up. Default: every usable one; loopback only when there is no other.
   */
  interfaces?: string[]
  /** TCP port to listen on. Default: 28417, or a random one where that is taken at the first start; then kept. A port given here that is in use is an error. */
  port?: number
  /**
   * Multiaddrs under which others reach this device, such as `/ip4/20.3.4.5/tcp/4001` where a router forwards a port; besides those
   * of its network interfaces. @default none
   */
  announce?: string[]
  /**
   * Ask the router, by UPnP, to pass on what comes in at the port of this device. Only done when rendezvous nodes or the public DHT
   * are used. @default true
   */
  portMapping?: boolean
  /** Find devices on the local network by multicast DNS. @default true */
  mdns?: boolean
  /**
   * Multiaddrs of rendezvous nodes, each ending in /p2p/PEERID. Through them devices find each other, and reach each other
   * when there is no direct way, in other networks too. An unreachable one delays nothing. @default none
   */
  rendezvous?: string[]
  /** Use no rendezvous node and no DHT, whatever else is set; the log has a warning then. @default false */
  lanOnly?: boolean
  /**
   * `private`: the DHT of the rendezvous nodes. `public`: libp2p's public one, in which a second, throwaway identity looks and
   * publishes; this device's own is never seen there. @default 'private'
   */
  dht?: 'private' | 'public'
  /** Multiaddrs by which the public DHT is entered. @default libp2p's bootstrap nodes */
  dhtBootstrap?: string[]
  /** Limits of the boxes: number of messages, and time they are kept. */
  messages?: MessageLimits
  /**
   * Called with the node before it connects to any device: handlers, event listeners and subscriptions registered here miss
   * nothing. After a restart, other devices may ask within milliseconds; a `handle` called only when `createNode` has resolved
   * lets them meet `unknown-protocol`. An error thrown here rejects `createNode`.
   */
  setUp?: (node: SpacedockNode) => void
  /** Receives structured log lines, which never hold words or keys. @default nowhere */
  log?: Log
  /** Clock for tests. `spacedock/testing` simulates the whole machine, its network and its disk too. @default the system's */
  clock?: Clock
}

/**
 * Limits of a node's messages: whole numbers above 0 for messages and bytes, any above 0 for days. What has arrived goes by these
 * rules, or when it is taken out, and not otherwise.
 */
export interface MessageLimits {
  /**
   * Number of messages that the inbox holds. Each device has a share of it: as many as are still free for all, so half of it when
   * it is alone. What does not fit stays with its sender, `waitsFor: 'inbox-full'` there, until messages are taken out here.
   * @default 10_000
   */
  inboxMessages?: number
  /** Bytes of all of them together, at least 1_048_576. @default 268_435_456 */
  inboxBytes?: number
  /**
   * Rule for a device whose share is full. `wait`: its messages wait with it, and nothing is lost; `drop-oldest`: its own oldest
   * messages go, for applications that never take any out. @default 'wait'
   */
  inboxFull?: 'wait' | 'drop-oldest'
  /** Days that the inbox keeps a message, from its arrival. @default no limit */
  inboxDays?: number
  /** Days that a message without `expiresInMs` waits for its device. @default 365 */
  outboxDays?: number
}

/** Source of the time of a node. */
export interface Clock {
  /** Returns monotonic milliseconds: for deadlines and lifetimes. */
  monotonic(): number
  /** Returns the wall clock, milliseconds since the epoch: for what people read. */
  wall(): number
  /** Returns monotonic milliseconds that go on while the machine sleeps: how long messages have waited. @default `monotonic` */
  sinceBoot?(): number
  /**
   * Returns a name for this run of the machine: while it is the same, `sinceBoot` also tells how long the program was not running.
   * Null: not known. @default null
   */
  bootId?(): string | null
  /** Calls back once after this many milliseconds, unless the function returned is called first. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void
}

/** Weight of a log line, the least first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Takes a log line: `event` is a name such as `session.started`, `fields` are its details, fit for JSON but for an `error`. */
export type Log = (level: LogLevel, event: string, fields?: Record<string, unknown>) => void

/** State of a device. */
export type DeviceState =
  /** seen on the network, not paired */
  | 'discovered'
  /** a pairing with it runs, or was agreed and is not finished */
  | 'pairing'
  /** trusted, and not looked for yet since this start */
  | 'paired'
  | 'connected'
  | 'disconnected'
  /** the other side says that it does not know us, or that it has revoked us: pair again */
  | 'needs-pairing'
  | 'revoked'

/** Connection of two devices: `relayed` over a third machine, which sees that they talk and not what is said. */
export type ConnectionPath = 'direct' | 'relayed'

/** Plain description of a device, as `devices` prints it. */
export interface DeviceInfo {
  /** Device id: 16 characters, derived from the peer id. */
  id: string
  /** Name that it has here: the one it calls itself, another one where two would be the same, or the one that `rename` gave. */
  name: string
  /** Peer id of its key in libp2p's form, base58btc: tells it from all others. */
  peerId: string
  /** State of the device. */
  state: DeviceState
  /**
   * Reason why it needs pairing: it has `revoked` this device, which is final, or says that this one is `unknown` to it, which
   * ends by itself when it finds its memory again. Null in every other state.
   */
  needsPairing: 'revoked' | 'unknown' | null
  /** Present path to it; null when it is not connected. */
  path: ConnectionPath | null
  /**
   * Whether it is connected over a relay that carries little: a message too large for it waits for a better path, or fails with
   * `too-large`.
   */
  limited: boolean
  /** Multiaddr of the live connection, else the last one that worked, else null. */
  address: string | null
  /** Time at which it was last seen, ISO 8601, or null when never. */
  lastSeen: string | null
  /** Time of a round trip now, in milliseconds, smoothed; null while it is not connected or not measured. */
  roundTripMs: number | null
  /** Begin of its connection, whichever way, ISO 8601; null when it is not connected. */
  connectedSince: string | null
  /** Reason why it could not be reached, or was lost, the last time since this node started; null when it was always there. */
  lastFailure: DeviceFailure | null
}

/** Reason why a device is not connected. */
export interface DeviceFailure {
  /** Time of the failure, ISO 8601. */
  at: string
  /** Code, one of those of SpacedockError. */
  code: string
  /** Message for a person, such as `No answer at any of its 3 addresses.` */
  message: string
  /** Remedy for a person, a sentence; null when nothing better than to wait is known. */
  hint: string | null
  /** Finding about a device that is on the same network and lets nobody in; null otherwise. */
  finding: ReachabilityFinding | null
}

/** Finding about a device that is not reached, from the results of dials to it. `describeFinding` says it in words. */
export interface ReachabilityFinding {
  /**
   * Cause, the same between versions. `no-answer`: nothing comes back, as behind a firewall that drops; `refused`, `unreachable`:
   * it or something before it says no, as a firewall that rejects; `reset`: accepted, then cut off.
   */
  cause: 'no-answer' | 'refused' | 'unreachable' | 'reset'
  /** Peer id, base58btc. */
  peer: string
  /** Name of the device, when this one knows it. */
  name: string | null
  /**
   * Source of the address. `seen`: it announces itself on the local network, so it is there. `given`: a person gave its address.
   * `published`: it shows the code, and says in a DHT that it is at this address.
   */
  known: 'seen' | 'given' | 'published'
  /** Multiaddr at which it was tried, without a peer id. */
  address: string
  /** TCP port to be opened there. */
  port: number
  /** TCP port to be opened on this device, if that is easier; null when it listens on none. */
  ownPort: number | null
  /** Remedies, the best first. `swap`: show the code on the device that was to join. */
  remedies: ('open-there' | 'open-here' | 'swap')[]
}

/** Outcome of a message by the time that `send` resolved. */
export interface SendResult {
  /** Id of the message, the same in `message:delivered`, `outbox()` and the receiver's inbox. */
  id: string
  /**
   * State of the message. `delivered`: durable at the receiver. `queued`: durable here, sent when the device is back, or reached
   * without a relay that is too small.
   */
  status: 'delivered' | 'queued'
}

/** Answer to a ping. */
export interface PingResult {
  /** Time it took, in milliseconds. */
  roundTripMs: number
  /** Path of the connection. */
  path: ConnectionPath
  /** Multiaddr of the connection. */
  address: string
}

/** Options of every call that takes time. */
export interface CallOptions {
  /** Calls it off: it rejects with the signal's reason. */
  signal?: AbortSignal
}

/** Options of `request`. */
export interface RequestOptions extends CallOptions {
  /**
   * Longest time for an answer once the device is connected, in milliseconds; Infinity: as long as it stays connected. @default
   * 30_000
   */
  timeoutMs?: number
}

/** Options of `send`. When its signal aborts, a message that is queued stays so, and is only not waited for any more. */
export interface SendOptions extends CallOptions {
  /**
   * Time in which a message has to be acknowledged; after it, it is not sent any more: `message:expired`. Time counts while the
   * device is off or asleep too, and not when its clock is set. Infinity: never. @default as `messages.outboxDays` says
   */
  expiresInMs?: number
}

/**
 * A device one has paired with. Stays valid while the node runs; `state` and `name` are always current. A copy of it, by
 * `structuredClone`, by spreading or as JSON, is a `DeviceInfo` of that moment: fit to be sent to another process or thread.
 */
export interface Device extends DeviceInfo {
  /**
   * Resolves when the message is acknowledged as durable by the receiver, or durably queued here. Rejects with `too-large`
   * (256 KiB as UTF-8), `invalid-message`, `invalid-argument`, `outbox-full`, `not-paired`, `disk-full`: then nothing is queued.
   * When the device is revoked while this waits for its receipt, that is `not-paired` too, and the message may have arrived.
   */
  send(content: MessageContent, options?: SendOptions): Promise<SendResult>
  /**
   * Sends one request for one answer, both checked against the protocol's schemas. An error that the protocol declares arrives as
   * a `ProtocolError`; a version that the device does not serve is an `UnknownProtocolError`, which names those that it does.
   */
  request<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
    request: Request,
    options?: RequestOptions,
  ): Promise<Response>
  /**
   * Opens a byte stream: resolves when the device's handler was given it, rejects like `request`. The signal calls the stream off
   * at any time. It lives as long as the session: one that breaks errors both its ends with `interrupted`. Each side may have 64
   * open at once; more wait for their turn. The request is at most 65,000 bytes of JSON text.
   */
  openStream<Request, Errors extends ErrorSchemas>(
    protocol: StreamProtocol<Request, Errors>,
    request: Request,
    options?: CallOptions,
  ): Promise<ByteStream>
  /**
   * Sends an event, of at most 65,000 bytes of JSON text. Resolves when it has left, after all events emitted before: it is
   * neither kept nor answered, and nothing says whether it was handled, or is served at all. What has arrived is handled in
   * order. Awaiting each one keeps pace with a slow device; otherwise `too-large` when 1 MiB waits.
   */
  emit<Event>(protocol: EventProtocol<Event>, event: Event, options?: CallOptions): Promise<void>
  /** Returns the versions that the device serves under this name, the newest first; none when it serves none. */
  versionsOf(name: string, options?: CallOptions): Promise<number[]>
  /** Asks for a sign of life over the live connection. Rejects with `not-paired`, `offline` or `closed`. */
  ping(options?: CallOptions): Promise<PingResult>
  /**
   * Gives the device another name here; the device itself does not learn it. Rejects with `invalid-argument` for one that is
   * taken or cannot be seen, `not-paired`, `closed`, `disk-full`.
   */
  rename(name: string): Promise<void>
  /** Closes its connections, forgets its keys and remembers that it is not trusted any more. */
  revoke(): Promise<void>
}

/** Content of a message: a text, as it is or as `{ text }`; any value that JSON can say goes as `{ json: value }`. */
export type MessageContent = string | { text: string } | { json: unknown }

/** A message in the inbox. It has either `text` or `json`. */
export interface Message {
  /** Id given by the sender: the same as in its `SendResult`. */
  id: string
  /**
   * Position in this device's inbox: grows by arrival, with gaps, and is never given twice, also when the data directory was put back
   * from a backup since.
   */
  sequence: number
  /** Sender; `id` as in `DeviceInfo`, `name` as it is called here now. */
  from: { id: string; name: string }
  /** Text that was sent. */
  text?: string
  /** Value that was sent as `{ json }`; nobody has checked its shape. */
  json?: unknown
  /** Time of sending, ISO 8601, by the sender's clock. */
  at: string
}

/** A message in the outbox. It has either `text` or `json`. */
export interface QueuedMessage {
  /** Id as in its `SendResult`. */
  id: string
  /** Receiver; `id` as in `DeviceInfo`, `name` as it is called here now. */
  to: { id: string; name: string }
  /** Text that is sent. */
  text?: string
  /** Value that is sent as `{ json }`. */
  json?: unknown
  /** Time of sending, ISO 8601, by this device's clock. */
  at: string
  /** State. `expired`: it was not acknowledged in time and is not sent any more; shown for thirty days, the last hundred. */
  state: 'queued' | 'expired'
  /**
   * Obstacle it waits out. `device`: the device is not connected; `better-path`: it is too large for the relay in between;
   * `update-here`, `update-there`: a newer version of Spacedock is needed on this device, or on the other one, since the two have
   * no version of messages in common; `inbox-full`: its inbox has no room for more of this device's; `one-copy`: two
   * machines have its identity, and it is not clear which of them is meant. Null when it is on its way, or waits for nothing any more.
   */
  waitsFor: 'device' | 'better-path' | 'update-here' | 'update-there' | 'inbox-full' | 'one-copy' | null
  /** End of its time, ISO 8601; null when it waits for ever. */
  expiresAt: string | null
}

/**
 * Question to a person before two devices are paired. It is asked first where the code is shown: there the person types what the
 * other screen shows, which `compareDigits` judges, and this screen shows no digits, or they would be copied from it. The device
 * that joins shows them from the progress `digits` on, and its own question can be answered with a yes. Input from before
 * the question is no answer to it.
 */
export interface ConfirmationRequest {
  /** Name of the other device, sanitised. */
  name: string
  /** Six decimal digits; equal at both devices unless somebody sits in between. */
  digits: string
  /** Device id of the other device. */
  id: string
  /** Peer id of the other device's key, base58btc. */
  peerId: string
}

/** Asks a person. The signal aborts when the answer is no longer needed. */
export type Confirm = (request: ConfirmationRequest, options: { signal: AbortSignal }) => Promise<boolean>

/** Progress of a pairing, as `onProgress` and the event `pairing:progress` tell it. */
export type PairingProgress =
  /** Change of a way of finding each other; `detail` is a short sentence part for people. */
  | {
      kind: 'source'
      source: 'local-network' | 'internet' | 'connected-peers' | 'addresses'
      status: 'ready' | 'unavailable'
      detail: string
    }
  /**
   * Another device that is there, while the two cannot reach each other: usually a firewall. Not before four seconds have gone
   * by, once for each device, of at most three; the search goes on.
   */
  | { kind: 'obstacle'; finding: ReachabilityFinding }
  /**
   * Program of another version, which cannot answer or help: of pairing, a device, which need not be the other one; of the
   * records by which devices find each other across networks, the other device; of the DHT, a rendezvous node. The older program
   * has to be updated. Once for each version; the search goes on.
   */
  | { kind: 'other-version'; part: 'pairing' | 'records' | 'rendezvous'; theirs: number; ours: number }
  /** Contact with another device that holds the code. */
  | { kind: 'contact' }
  /** Digits known: the joiner shows them before it knows the name, so that they can be typed at the other device. */
  | { kind: 'digits'; digits: string }
  /** Waiting for the person at the other device. */
  | { kind: 'waiting' }

/** Options of `pair`. */
export interface PairOptions {
  /** Asks this device's person whether to pair. @default nobody is asked: the code alone decides */
  confirm?: Confirm
  /** Calls the pairing off: as `cancel` of the invitation; `join` rejects with `cancelled`. */
  signal?: AbortSignal
  /** Called with each step, before the event `pairing:progress`. */
  onProgress?: (progress: PairingProgress) => void
  /**
   * Multiaddrs of the other device, each ending in /p2p/PEERID, to dial besides whoever is found: either side may, so one of
   * them that can be reached is enough.
   */
  peers?: string[]
}

/** Options of `join`. */
export interface JoinOptions extends PairOptions {
  /** Longest search for the code's owner. @default 300_000 */
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
  /** End of the code's five minutes, by the wall clock. */
  readonly expiresAt: Date
  /** Rejects with a SpacedockError: expired, cancelled, declined, burnt, disk-full ... */
  readonly paired: Promise<Device>
  /** Makes the code void, and tells a device that is using it: `paired` rejects with `cancelled`. Changes nothing afterwards. */
  cancel(): Promise<void>
}

/** Codes of errors (lower case letters, digits, dashes), each with the schema of its data. */
export type ErrorSchemas = Readonly<Record<string, StandardSchemaV1>>
/** Errors of a protocol that declares none. */
export type NoErrors = Readonly<Record<never, StandardSchemaV1>>
/** Data that comes with an error of this schema. */
export type ErrorData<Schema extends StandardSchemaV1> = StandardSchemaV1.InferOutput<Schema>

/** Context of a handler, besides the request. */
export interface HandlerContext<Errors extends ErrorSchemas = NoErrors> {
  /** Device that asks: it is paired. */
  device: Device
  /** Aborts when nobody waits for the answer any more, or the stream breaks. */
  signal: AbortSignal
  /** Makes one of the errors that the protocol declares, to be thrown. Its data is at most 4 KiB of JSON text. */
  readonly error: <Code extends keyof Errors & string>(
    code: Code,
    data: ErrorData<Errors[Code]>,
    message?: string,
  ) => Error
}

/**
 * Protocol of requests and answers, made by `defineProtocol`. `name` is lower case letters, digits, dashes; `version` a whole
 * number.
 */
export interface Protocol<Request, Response, Errors extends ErrorSchemas = NoErrors> {
  /** Mark that tells it from streams and events. */
  readonly kind?: never
  /** Name: 1 to 64 lower case letters, digits and dashes, beginning with a letter. */
  readonly name: string
  /** Version, a whole number above 0; devices that talk have to have the same one. */
  readonly version: number
  /** Request: a value that JSON can say, checked by both sides. */
  readonly request: StandardSchemaV1<unknown, Request>
  /** Answer: a value that JSON can say, checked by both sides. */
  readonly response: StandardSchemaV1<unknown, Response>
  /** The errors that the handler may throw by `context.error`. */
  readonly errors?: Errors
  /**
   * Answers a request; needed to serve the protocol, not to ask. Any other error that it throws is `remote-failure` to the asker,
   * with its message.
   */
  readonly handler?: (request: Request, context: HandlerContext<Errors>) => Promise<Response> | Response
}

/** Protocol of byte streams, made by `defineStream`. */
export interface StreamProtocol<Request, Errors extends ErrorSchemas = NoErrors> {
  /** Mark that tells it from the others. */
  readonly kind: 'stream'
  /** Name as of a `Protocol`. */
  readonly name: string
  /** Version as of a `Protocol`. */
  readonly version: number
  /** Opening request of the stream, checked by both sides. */
  readonly request: StandardSchemaV1<unknown, Request>
  /** The errors by which the handler may refuse, or break off, the stream. */
  readonly errors?: Errors
  /**
   * Uses the stream, which is its own for as long as it runs: when it resolves, its writes go out, its writing side is ended and
   * unread bytes are not wanted. When it throws, the stream breaks on both sides, and the other one is told; but not when it
   * throws what its writes were rejected with because the other one reads no more.
   */
  readonly handler?: (
    request: Request,
    stream: ByteStream,
    context: HandlerContext<Errors>,
  ) => Promise<void> | void
}

/** Protocol of events, made by `defineEvent`. */
export interface EventProtocol<Event> {
  /** Mark that tells it from the others. */
  readonly kind: 'event'
  /** Name as of a `Protocol`. */
  readonly name: string
  /** Version as of a `Protocol`. */
  readonly version: number
  /** Event, checked by both sides; one that does not fit on arrival is dropped. */
  readonly event: StandardSchemaV1<unknown, Event>
  /** Handles one event of a device at a time. One that takes longer than 30 s is not waited for any more. */
  readonly handler?: (event: Event, context: { device: Device; signal: AbortSignal }) => Promise<void> | void
}

/** Bytes both ways, each way with back-pressure: what one side does not read, the other can soon not write. */
export interface ByteStream {
  /** Readable side. Cancelling it tells the other side, whose `writable` is errored; this side may go on writing. */
  readonly readable: ReadableStream<Uint8Array>
  /**
   * Writable side. Closing it ends this direction only; aborting it is `abort`. A chunk must not be changed before its write
   * resolves.
   */
  readonly writable: WritableStream<Uint8Array>
  /** Resolves when both directions have ended; rejects when the stream breaks. May be ignored. */
  readonly closed: Promise<void>
  /** Breaks both directions at once; the other side is told the reason's message. */
  abort(reason?: unknown): void
}

/** Value published by a device. */
export interface Publication<Value = unknown> {
  /** Topic as it was subscribed to. */
  topic: string
  /** Value as the schema gives it back. */
  value: Value
  /** Device that published it. */
  device: Device
  /** Number of values before this one that were dropped because this subscription was not read fast enough. */
  missed: number
}

/** Options of `subscribe`. */
export interface SubscribeOptions<Value = unknown> {
  /** Schema of the values; one that does not fit is dropped, with a line in the log. */
  schema?: StandardSchemaV1<unknown, Value>
  /** Ends the subscription, without an error. */
  signal?: AbortSignal
  /** Number of publications kept for a slow reader; beyond it the oldest goes. 1 to 10,000. @default 256 */
  maxBuffered?: number
}

/** Selection of the inbox's messages. */
export interface InboxOptions {
  /** Sequence after which messages count. @default 0: all */
  after?: number
}

/** Selection of messages, and the end of their iteration. */
export interface MessagesOptions extends InboxOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal
}

/** Selection of messages to take out of the inbox. */
export interface ClearInboxOptions {
  /** Sequence up to which messages are taken out, it included. @default all */
  upTo?: number
}

/** Events of a node, by type, each with its `detail`. */
export interface NodeEvents {
  /** Sighting of a device that is not paired on the local network. */
  'device:discovered': { peerId: string }
  /** Pairing agreed by both sides; the device is connected next. */
  'device:paired': DeviceInfo
  /** First connection to the device. */
  'device:connected': DeviceInfo
  /** Loss of the last connection; `lastFailure` says why. */
  'device:disconnected': DeviceInfo
  /** Change of path of a connected device: relayed, or direct. */
  'device:path-changed': DeviceInfo
  /** Change of address, a round trip that takes far less or more time, or another reason why it cannot be reached. */
  'device:updated': DeviceInfo
  /** Change of its name here. */
  'device:renamed': DeviceInfo
  /** Word of the device that it has revoked this one, or does not know it: `needsPairing`. */
  'device:needs-pairing': DeviceInfo
  /** Revocation: this device trusts it no more. */
  'device:revoked': DeviceInfo
  /** Discovery that two machines have the device's identity, as after its disk was cloned: messages for it wait until one is gone. */
  'device:copied': DeviceInfo
  /**
   * Report that another machine has this device's identity: by the paired device `by`, or by a packet from `address` on the local
   * network, which anybody there may send.
   */
  'identity:elsewhere': { by: string | null; address: string | null }
  /** Message that has arrived and is durable in the inbox. */
  message: Message
  /** Receipt for the message `id`; `to` is the receiver's device id. */
  'message:delivered': { id: string; to: string }
  /** End of a message's time before the receiver acknowledged it: it has not arrived, or only its receipt was lost. */
  'message:expired': { id: string; to: string }
  /** Refusal by the device `to`, whose inbox is full: messages for it wait. Once, until one is delivered again. */
  'message:held': { to: string; waitsFor: 'inbox-full' }
  /** Refusal of messages of the device `from`, whose share of the inbox is full. Once, until one fits again. */
  'inbox:full': { from: string }
  /**
   * Loss of messages of the inbox by a rule of `NodeOptions.messages`: `age` by `inboxDays`, `share` by `inboxFull: 'drop-oldest'`.
   */
  'inbox:dropped': { messages: number; rule: 'age' | 'share' }
  /** Progress of a pairing of this device; `sessionId` as in `Invitation`. */
  'pairing:progress': { sessionId: string; role: 'initiator' | 'joiner'; progress: PairingProgress }
  /** Failure of a pairing of this device; `code` and `message` are those of the error. */
  'pairing:failed': { sessionId: string; role: 'initiator' | 'joiner'; code: string; message: string }
}

/** Listener called with each event of a type, `event.detail` as `NodeEvents` says. */
export type NodeEventListener<K extends keyof NodeEvents> =
  ((event: CustomEvent<NodeEvents[K]>) => void) | { handleEvent(event: CustomEvent<NodeEvents[K]>): void }

/** Lifetime of an event listener. */
export interface ListenerOptions {
  /** Whether it is removed before it is called for the first time. @default false */
  once?: boolean
  /** Removes it when it aborts; an aborted one adds none. @default until `removeEventListener` */
  signal?: AbortSignal
}

/** Matter that a person should know of. */
export interface Notice {
  /**
   * Subject, the same between versions. `revocation-unwritten`: devices are cut off, and that is not on the disk yet; `put-back`: the
   * data directory is a copy, of another one or of its own earlier state; `device-copied`, `identity-elsewhere`: two machines have a
   * device's identity, or this one's.
   */
  code: 'revocation-unwritten' | 'put-back' | 'device-copied' | 'identity-elsewhere'
  /** What is the matter, in a sentence. */
  message: string
  /** Remedy, in a sentence. */
  hint: string
}

/** State of a node. */
export interface NodeStatus {
  /** Peer id of this device's key in libp2p's form, base58btc. */
  peerId: string
  /** Device id: 16 characters, derived from the peer id. */
  id: string
  /** Name of this device as it tells it to others. */
  name: string
  /** Multiaddrs that other devices can dial. */
  listen: string[]
  /** Number of paired devices. */
  devices: number
  /**
   * State of the public DHT: how many of its nodes can be asked, and the relays that this device is reached over, base58btc. Null
   * without.
   */
  publicNetwork: { nodes: number; relays: string[] } | null
  /** Matters that a person should know of, the most urgent first; none when all is well. */
  notices: Notice[]
  /** Amount in the inbox, and the devices of which no more fits into it; nothing when the node is closed. */
  inbox: { messages: number; bytes: number; fullFor: { id: string; name: string }[] }
  /** Milliseconds since start. */
  uptimeMs: number
}

/** Running device, made by `createNode`. After `close`, calls reject with `closed`, or throw it. */
export interface SpacedockNode {
  /** Peer id of this device's key in libp2p's form, base58btc: others know it by this. */
  readonly peerId: string
  /** Device id: 16 characters, derived from the peer id. */
  readonly id: string
  /** Name as it tells it to others; always current. */
  readonly name: string
  /** Returns its state now; also of a node that is closed. */
  status(): NodeStatus
  /** Returns the counts since the start, and the amounts now. Throws `closed`. */
  metrics(): NodeMetrics
  /** Shows a new code. Several may be live at once. */
  pair(options?: PairOptions): Promise<Invitation>
  /** Uses a code: twelve words in any usual spelling, or a `spacedock:` URI. Resolves when both sides are paired. */
  join(code: string, options?: JoinOptions): Promise<Device>
  /** Returns the paired, needs-pairing and revoked devices. */
  devices(): Device[]
  /** Finds a device by name, id, or a unique prefix of either; rejects `no-device` or `ambiguous-device`. */
  device(reference: string): Device
  /** Gives this device another name, which others are told when they pair. Rejects with `disk-full`, `closed`. */
  rename(name: string): Promise<void>
  /**
   * Serves a protocol to paired devices, several versions of one name if need be; the function returned stops it. Names that
   * begin with `spacedock-` are the system's own.
   */
  handle<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
  ): () => void
  handle<Request, Errors extends ErrorSchemas>(protocol: StreamProtocol<Request, Errors>): () => void
  handle<Event>(protocol: EventProtocol<Event>): () => void
  /**
   * Hands a value to every paired device that is connected and subscribes to the topic, and resolves to those devices. It is not
   * kept for others, and a device that is too slow to take it is left out. A topic is 1 to 128 bytes of UTF-8 without control
   * characters; value and topic are at most 65,000 bytes of JSON text.
   */
  publish(topic: string, value: unknown): Promise<Device[]>
  /**
   * Yields the publications of other devices from now on; they are told of the subscription within a round trip, also when they
   * come later. Ends with the signal, with `return()` (as `break` calls it) and with the node. At most 256 topics and 1,024
   * subscriptions.
   */
  subscribe<Value = unknown>(
    topic: string,
    options?: SubscribeOptions<Value>,
  ): AsyncIterableIterator<Publication<Value>>
  /** Yields the inbox after `after` (default: all of it), then the arrivals, until the signal aborts or the node closes. */
  messages(options?: MessagesOptions): AsyncIterableIterator<Message>
  /** Returns the inbox in the order of arrival. */
  inbox(options?: InboxOptions): Message[]
  /**
   * Takes a message out of the inbox; resolves with whether it was there. It does not come back, and its sequence is not used
   * again.
   */
  removeMessage(sequence: number): Promise<boolean>
  /** Takes out all messages, or those up to a sequence; resolves with how many. */
  clearInbox(options?: ClearInboxOptions): Promise<number>
  /** Returns the waiting messages, and the expired ones. */
  outbox(): QueuedMessage[]
  /** Adds a listener as a DOM EventTarget does: the same listener a second time changes nothing. */
  addEventListener<K extends keyof NodeEvents>(
    type: K,
    listener: NodeEventListener<K>,
    options?: ListenerOptions,
  ): void
  /** Removes a listener. Takes the options as `addEventListener` does; they make no difference. */
  removeEventListener<K extends keyof NodeEvents>(
    type: K,
    listener: NodeEventListener<K>,
    options?: ListenerOptions,
  ): void
  /** Ends all connections in order and gives back the data directory. May be called more than once. */
  close(): Promise<void>
  /** Closes as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}
