import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { ErrorSchemas, EventProtocol, Log, Protocol } from '../../api.ts'
import type { StreamProtocol as ByteStreamProtocol } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { ApplicationProtocols, type ServedDevices } from './application-protocols.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { describeError } from '../session/remote-error.ts'
import type { CallHandler } from '../session/call.ts'
import { maxMessageBytes } from '../session/request-header.ts'
import { serve } from '../request-response.ts'
import type { Clock } from '../../api.ts'
import type { SessionTrust } from '../session/session-trust.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
/** Protocol with libp2p streams of its own. */
export interface StreamProtocol {
  /** Protocol id, such as `/spacedock/pairing/1.0.0`. */
  protocol: string
  /** Peers that may use it: `strangers` too, peers that have a key to prove, or only devices that are trusted. */
  access: 'strangers' | 'paired' | 'trusted'
  /** Most concurrent inbound streams of one connection. @default 32 */
  maxInboundStreams?: number
  handle: (stream: Stream, connection: Connection, options: { signal: AbortSignal }) => Promise<void>
  /** Handles the stream of a peer that may not use it; must not read. @default resets the stream */
  refuse?: (stream: Stream, connection: Connection) => Promise<void>
}

export interface ProtocolRegistryOptions {
  host: Pick<Libp2p, 'handle' | 'unhandle'>
  /** Keys that a peer may prove, also those of a pairing that is not finished: who has one is paired. */
  trust: Pick<SessionTrust, 'keysOf'>
  clock?: Clock
  log?: Log
}

/**
 * Routes what peers ask to the handler of its protocol. Two kinds are registered: protocols with streams of their own, and
 * application protocols, which are reached over the session of a paired device and, requests for programs in other languages,
 * as a libp2p protocol of their own: `/spacedock/app/NAME/VERSION.0.0`, one JSON text each way. The answer there is
 * `{"value": ...}` or `{"error": {"code", "message"}}`.
 */
export class ProtocolRegistry {
  readonly #options: ProtocolRegistryOptions
  readonly #applications: ApplicationProtocols
  #devices: ServedDevices = { trusted: () => undefined }
  readonly #closing = new AbortController()
  /** Streams being handled, oldest first. */
  readonly #strangers = new Set<Stream>()
  readonly #attached = new Set<string>()
  /** Settles when libp2p has taken in all registrations so far: it registers at once but resolves later. */
  #settled: Promise<void> = Promise.resolve()

  constructor(options: ProtocolRegistryOptions) {
    this.#options = options
    this.#applications = new ApplicationProtocols(options.log)
  }

  /** Serves trusted devices. Before it is called they are refused what only they may use. */
  serveTo(devices: ServedDevices): void {
    this.#devices = devices
    this.#applications.serveTo(devices)
  }

  /** Serves a stream protocol; the function returned stops it. Throws `invalid-argument` when it is already served. */
  attach(definition: StreamProtocol): () => void {
    const { protocol, maxInboundStreams = 32 } = definition
    const { host } = this.#options
    if (this.#attached.has(protocol)) {
      throw new SpacedockError('invalid-argument', `The protocol ${protocol} is already served.`)
    }
    this.#attached.add(protocol)
    this.#track(
      host.handle(protocol, (stream, connection) => this.#receive(definition, stream, connection), {
        maxInboundStreams,
        runOnLimitedConnection: true,
      }),
    )
    return () => {
      if (this.#attached.delete(protocol)) this.#track(host.unhandle(protocol))
    }
  }

  /** Serves an application protocol to paired devices; the function returned stops it. Throws `invalid-argument`. */
  register<Request, Response, Errors extends ErrorSchemas>(
    protocol: Protocol<Request, Response, Errors>,
  ): () => void
  register<Request, Errors extends ErrorSchemas>(protocol: ByteStreamProtocol<Request, Errors>): () => void
  register<Event>(protocol: EventProtocol<Event>): () => void
  register(
    protocol:
      | Protocol<unknown, unknown, ErrorSchemas>
      | ByteStreamProtocol<unknown, ErrorSchemas>
      | EventProtocol<unknown>,
  ): () => void {
    if (protocol.kind === 'stream') return this.#applications.register(protocol)
    if (protocol.kind === 'event') return this.#applications.register(protocol)
    const unregister = this.#applications.register(protocol)
    const detach = this.attach(this.#asStreamProtocol(protocol.name, protocol.version))
    return () => {
      unregister()
      detach()
    }
  }

  /** Handler of the calls that paired devices make over their sessions. */
  get calls(): CallHandler {
    return this.#applications
  }

  /** Versions served under this name, the newest first. */
  versionsOf(name: string): number[] {
    return this.#applications.versionsOf(name)
  }

  /** Resolves when libp2p has taken note of everything that was attached and detached so far. */
  settled(): Promise<void> {
    return this.#settled
  }

  /** Stops serving and ends what is being served. */
  async close(): Promise<void> {
    for (const protocol of this.#attached) this.#track(this.#options.host.unhandle(protocol))
    this.#attached.clear()
    this.#closing.abort(new SpacedockError('closed', 'This device is shutting down.'))
    await this.#settled
  }

  async #receive(definition: StreamProtocol, stream: Stream, connection: Connection): Promise<void> {
    const { trust, log } = this.#options
    const { protocol, access } = definition
    const peer = peerIdOf(connection.remotePeer)
    const paired = trust.keysOf(peer).length > 0
    // Access is decided before a byte is read: nothing an unpaired peer sends is ever looked at.
    const isAllowed =
      access === 'strangers' || (access === 'paired' ? paired : this.#devices.trusted(peer) !== undefined)
    try {
      if (!isAllowed && definition.refuse !== undefined) await definition.refuse(stream, connection)
      else if (!isAllowed) stream.abort(new SpacedockError('not-paired', 'The two devices are not paired.'))
      else await this.#handle(definition, stream, connection, paired)
    } catch (error) {
      log?.('debug', 'stream-failed', {
        protocol,
        error: error instanceof Error ? error.message : String(error),
      })
      stream.abort(error instanceof Error ? error : new Error('the handler failed', { cause: error }))
    }
  }

  async #handle(
    definition: StreamProtocol,
    stream: Stream,
    connection: Connection,
    paired: boolean,
  ): Promise<void> {
    if (!paired) this.#makeRoomForStranger()
    if (!paired) this.#strangers.add(stream)
    try {
      await definition.handle(stream, connection, { signal: this.#closing.signal })
    } finally {
      this.#strangers.delete(stream)
    }
  }

  /** Resets the oldest stranger's stream: an honest exchange lasts milliseconds, so the oldest is a dawdler. */
  #makeRoomForStranger(): void {
    if (this.#strangers.size < maxStrangerStreams) return
    const [oldest] = this.#strangers
    if (oldest === undefined) return
    this.#strangers.delete(oldest)
    oldest.abort(new SpacedockError('too-large', 'Too many strangers ask at the same time.'))
  }

  #asStreamProtocol(name: string, version: number): StreamProtocol {
    return {
      protocol: applicationProtocolId(name, version),
      access: 'trusted',
      handle: async (stream, connection, { signal }) => {
        const { clock } = this.#options
        const peerId = peerIdOf(connection.remotePeer)
        const serveOptions = {
          maxBytes: maxMessageBytes,
          signal,
          ...(clock === undefined ? {} : { clock }),
        }
        await serve(stream, serveOptions, (question, { signal }) =>
          answer(() =>
            this.#applications.request({ name, version, value: decodeJson(question) }, { peerId, signal }),
          ),
        )
      },
    }
  }

  #track(promise: Promise<void>): void {
    const observed = promise.catch((error: unknown) => {
      this.#options.log?.('warn', 'protocol-not-announced', { error: String(error) })
    })
    this.#settled = this.#settled.then(() => observed)
  }
}

/** Returns the libp2p protocol id of an application protocol. */
export function applicationProtocolId(name: string, version: number): string {
  return `/spacedock/app/${name}/${version}.0.0`
}

async function answer(dispatch: () => Promise<unknown>): Promise<Uint8Array> {
  try {
    const bytes = encodeJson({ value: await dispatch() })
    if (bytes.byteLength <= maxMessageBytes) return bytes
    throw new SpacedockError('too-large', `The answer is larger than ${maxMessageBytes} bytes.`)
  } catch (error) {
    return encodeJson({ error: describeError(error) })
  }
}

const maxStrangerStreams = 1_024
