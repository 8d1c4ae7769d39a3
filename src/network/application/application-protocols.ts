import type {
  ByteStream,
  Device,
  ErrorSchemas,
  EventProtocol,
  HandlerContext,
  Log,
  Protocol,
  StreamProtocol,
} from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { UnknownProtocolError } from '../../protocol-error.ts'
import { type Declaring, failureOf, handlerContext, knownError } from './declared-errors.ts'
import { logFailure, type Failure } from './failure-log.ts'
import {
  checkValue,
  defineEvent,
  defineProtocol,
  defineStream,
  invalidArgument,
  keyOf,
} from './protocol-definitions.ts'
import type { Call, Caller, CallHandler } from '../session/call.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

export { defineProtocol } from './protocol-definitions.ts'

// Only the methods below call the handlers, with what the protocol's own schema let through.
type AnyRequest = Protocol<unknown, unknown, ErrorSchemas>
type AnyStream = StreamProtocol<unknown, ErrorSchemas>
type AnyEvent = EventProtocol<unknown>
type Served = AnyRequest | AnyStream | AnyEvent
type Kind = 'request' | 'stream' | 'event'

/** Devices that are served. */
export interface ServedDevices {
  /** Undefined for a peer that is not trusted. */
  trusted(peer: PeerId): Device | undefined
}

/** The application protocols of a node, by name and version: requests, streams and events share the names. */
export class ApplicationProtocols implements CallHandler {
  readonly #served = new Map<string, Served>()
  #devices: ServedDevices = { trusted: () => undefined }
  readonly #log: Log | undefined

  constructor(log?: Log) {
    this.#log = log
  }

  /** Serves these devices. Before it is called nobody is served. */
  serveTo(devices: ServedDevices): void {
    this.#devices = devices
  }

  /**
   * Registers a protocol; the function returned removes it. Throws `invalid-argument` without a handler, or when name and version
   * are taken.
   */
  register<Request, Response, Errors extends ErrorSchemas>(
    definition: Protocol<Request, Response, Errors>,
  ): () => void
  register<Request, Errors extends ErrorSchemas>(definition: StreamProtocol<Request, Errors>): () => void
  register<Event>(definition: EventProtocol<Event>): () => void
  register(definition: Served): () => void {
    const protocol = define(definition)
    const key = keyOf(protocol)
    if (protocol.handler === undefined)
      throw invalidArgument(`Protocol ${key} has no handler to serve it with.`)
    if (this.#served.has(key)) throw invalidArgument(`Protocol ${key} is already served.`)
    this.#served.set(key, protocol)
    return () => {
      if (this.#served.get(key) === protocol) this.#served.delete(key)
    }
  }

  /** Versions served under this name, of one kind if given, the newest first. */
  versionsOf(name: string, kind?: Kind): number[] {
    const all = [...this.#served.values()].filter(
      (served) => served.name === name && (kind === undefined || kindOf(served) === kind),
    )
    return all.map(({ version }) => version).sort((one, other) => other - one)
  }

  /**
   * Handles a request. Rejects with what the other side is told: `not-paired`, `unknown-protocol`, `invalid-message`,
   * `remote-failure`.
   */
  async request(call: Call, caller: Caller): Promise<unknown> {
    const { name, version, value } = call
    try {
      const device = this.#paired(caller.peerId)
      const protocol = this.#find('request', name, version)
      let request = checkValue(protocol.request, value, 'request', protocol)
      if (request instanceof Promise) {
        request = await request
        this.#stillPaired(caller.peerId, caller.signal)
      }
      const context = handlerContext(protocol, device, caller)
      const response = await run(protocol, () => protocol.handler?.(request, context))
      return checkValue(protocol.response, response, 'response', protocol)
    } catch (error) {
      this.#logFailure('request.failed', call, caller, error)
      throw error
    }
  }

  /** Handles a stream and rejects like `request`; `accept` is called once a handler takes the stream. */
  async stream(call: Call, caller: Caller & { accept: () => ByteStream }): Promise<void> {
    const { name, version, value } = call
    const { peerId, accept } = caller
    try {
      const device = this.#paired(peerId)
      const protocol = this.#find('stream', name, version)
      const request = await checkValue(protocol.request, value, 'request', protocol)
      const context: HandlerContext<ErrorSchemas> = handlerContext(protocol, device, caller)
      const stream = accept()
      await run(protocol, () => protocol.handler?.(request, stream, context))
    } catch (error) {
      this.#logFailure('stream.failed', call, caller, error)
      throw error
    }
  }

  /** Handles an event and resolves in any case: a failure is only logged, never told to the sender. */
  async event(call: Call, caller: Caller): Promise<void> {
    const { name, version, value } = call
    const { peerId, signal } = caller
    try {
      const device = this.#paired(peerId)
      const protocol = this.#find('event', name, version)
      const event = await checkValue(protocol.event, value, 'event', protocol)
      this.#stillPaired(peerId, signal)
      await run(protocol, () => protocol.handler?.(event, { device, signal }))
    } catch (error) {
      this.#logFailure('event.not-handled', call, caller, error)
    }
  }

  #logFailure(event: Failure['event'], { name, version }: Call, caller: Caller, error: unknown): void {
    const { peerId: peer, signal } = caller
    logFailure(this.#log, { event, peer, name, version, signal, error })
  }

  #paired(peerId: PeerId): Device {
    const device = this.#devices.trusted(peerId)
    if (device === undefined) throw new SpacedockError('not-paired', 'The two devices are not paired.')
    return device
  }

  /** Throws when trust was revoked while a value was being checked, which may take a while. */
  #stillPaired(peerId: PeerId, signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#paired(peerId)
  }

  #find(kind: 'request', name: string, version: number): AnyRequest
  #find(kind: 'stream', name: string, version: number): AnyStream
  #find(kind: 'event', name: string, version: number): AnyEvent
  #find(kind: Kind, name: string, version: number): Served {
    const key = keyOf({ name, version })
    const served = this.#served.get(key)
    if (served !== undefined && kindOf(served) === kind) return served
    // Versions of another kind would be of no use to the caller.
    const versions = this.versionsOf(name, kind)
    if (served !== undefined) {
      throw new UnknownProtocolError(`The other device serves ${key} as another kind of protocol.`, versions)
    }
    const others = versions.length === 0 ? '' : `, only version ${versions.join(' and ')}`
    throw new UnknownProtocolError(`The other device does not serve ${key}${others}.`, versions)
  }
}

/** Sends a request through `send`, with the request checked before it leaves and the answer before it is returned. */
export async function callProtocol<Request, Response, Errors extends ErrorSchemas>(
  protocol: Protocol<Request, Response, Errors>,
  request: Request,
  send: (call: Call) => Promise<unknown>,
): Promise<Response> {
  const checking = checkValue(protocol.request, request, 'request', protocol)
  const value = checking instanceof Promise ? await checking : checking
  try {
    const answer = await send({ name: protocol.name, version: protocol.version, value })
    return await checkValue(protocol.response, answer, 'response', protocol)
  } catch (error) {
    throw await knownError(protocol, error)
  }
}

/** Opens a stream through `open`, with the request checked before it leaves. */
export async function openProtocolStream<Request, Errors extends ErrorSchemas>(
  protocol: StreamProtocol<Request, Errors>,
  request: Request,
  open: (call: Call, options: { translateError: (error: Error) => Promise<Error> }) => Promise<ByteStream>,
): Promise<ByteStream> {
  const checked = await checkValue(protocol.request, request, 'request', protocol)
  const translateError = async (error: Error): Promise<Error> => (await knownError(protocol, error)) as Error
  return open({ name: protocol.name, version: protocol.version, value: checked }, { translateError })
}

/** Returns the event as it is sent. Throws `invalid-message`. */
export async function checkEvent<Event>(protocol: EventProtocol<Event>, event: Event): Promise<Event> {
  return checkValue(protocol.event, event, 'event', protocol)
}

function kindOf(served: Served): Kind {
  return served.kind ?? 'request'
}

function define(definition: Served): Served {
  if (definition.kind === 'stream') return defineStream(definition)
  if (definition.kind === 'event') return defineEvent(definition)
  return defineProtocol(definition)
}

async function run<Result>(protocol: Declaring, handler: () => Promise<Result> | Result): Promise<Result> {
  try {
    return await handler()
  } catch (thrown) {
    throw await failureOf(protocol, thrown)
  }
}
