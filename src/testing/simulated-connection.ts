import type {
  AbortOptions,
  Connection,
  ConnectionStatus,
  MessageStreamDirection,
  MessageStreamEvents,
  MultiaddrConnectionTimeline,
  NewStreamOptions,
  PeerId,
  Stream,
  StreamHandler,
} from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { TypedEventEmitter } from 'main-event'
import { untilAborted } from '../abort.ts'
import type { Attachment, SimulatedNetwork, Way } from './simulated-network.ts'
import { silent, SimulatedStream, type StreamSignal } from './simulated-stream.ts'
import { Wire } from './wire.ts'

/** Host at one end of a connection. */
export interface ConnectionHost {
  readonly peer: PeerId
  /** Address at which it listens: a multiaddr that ends with the port. */
  readonly address: string
  readonly attachment: { readonly ip: string }
  handlerOf(protocol: string): StreamHandler | undefined
  closed(connection: SimulatedConnection): void
}

/** One end of a connection. Its peers are who they say: the simulation has no impostors. */
export class SimulatedConnection
  extends TypedEventEmitter<Omit<MessageStreamEvents, 'drain' | 'message' | 'end'>>
  implements Connection
{
  readonly id: string
  readonly remoteAddr: Multiaddr
  readonly remotePeer: PeerId
  readonly direction: MessageStreamDirection
  readonly timeline: MultiaddrConnectionTimeline = { open: 0 }
  readonly direct = true
  readonly log = silent
  status: ConnectionStatus = 'open'
  readonly #host: ConnectionHost
  readonly #way: Way
  readonly #streams = new Map<number, SimulatedStream>()
  readonly #opening = new Map<number, (isAccepted: boolean) => void>()
  #other: SimulatedConnection | undefined
  #wire: Pick<Wire<unknown>, 'send' | 'sendLoosely'> | undefined
  #streamNumber: number

  constructor(
    host: ConnectionHost,
    remote: ConnectionHost,
    { direction, id, way }: { direction: MessageStreamDirection; id: string; way: Way },
  ) {
    super()
    this.#host = host
    this.#way = way
    this.id = id
    this.direction = direction
    this.remotePeer = remote.peer
    // The other end of a connection that came in is a port that nobody listens on.
    const direct =
      direction === 'outbound' ? remote.address : `/ip4/${remote.attachment.ip}/tcp/${transientPort}`
    const address = way === 'relay' ? relayAddress : direct
    this.remoteAddr = multiaddr(`${address}/p2p/${remote.peer.toString()}`)
    this.#streamNumber = direction === 'outbound' ? 1 : 2
  }

  get streams(): Stream[] {
    return [...this.#streams.values()]
  }

  /** Attaches the other end, before anything is sent. */
  attach<Host>(
    other: SimulatedConnection,
    network: SimulatedNetwork<Host>,
    [from, to]: readonly [Attachment<Host>, Attachment<Host>],
  ): void {
    this.#other = other
    this.#wire = new Wire({
      network,
      from,
      to,
      way: this.#way,
      isSending: () => this.status === 'open',
      isReceiving: () => other.status === 'open',
      onRefused: () => this.lose(new Error('the other side knows no such connection')),
    })
  }

  /** Calls `deliver` at the other end, after everything that was sent before. */
  tell(deliver: (other: SimulatedConnection) => void): void {
    const other = this.#other
    if (other !== undefined && this.status === 'open') this.#wire?.send(() => deliver(other))
  }

  async newStream(protocols: string | string[], { signal }: NewStreamOptions = {}): Promise<Stream> {
    signal?.throwIfAborted()
    if (this.status !== 'open') throw new Error('the connection is closed')
    const protocol = typeof protocols === 'string' ? protocols : (protocols[0] ?? '')
    const number = this.#streamNumber
    this.#streamNumber += 2
    const stream = this.#addStream(number, protocol, 'outbound')
    const answered = new Promise<boolean>((resolve) => this.#opening.set(number, resolve))
    this.tell((other) => other.#streamAsked(number, protocol))
    try {
      const isAccepted = await (signal === undefined ? answered : untilAborted(answered, signal))
      if (isAccepted) return stream
      throw new Error(`the protocol ${protocol} is not served there`)
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('not opened', { cause: error }))
      throw error
    } finally {
      this.#opening.delete(number)
    }
  }

  async close(_options?: AbortOptions): Promise<void> {
    this.tell((other) => other.lose())
    this.#end('closed')
  }

  abort(error: Error): void {
    const other = this.#other
    if (other !== undefined && this.status === 'open') {
      this.#wire?.sendLoosely(() => other.lose(new Error('reset by the other side')))
    }
    this.#end('aborted', error)
  }

  /** Loses the connection, by the other side or by the network. */
  lose(error?: Error): void {
    this.#end(error === undefined ? 'closed' : 'aborted', error)
  }

  /** Ends with the process: nobody is told on this side, and the kernel tells the other side. */
  vanish(): void {
    const other = this.#other
    if (this.status !== 'open') return
    this.#wire?.sendLoosely(() => other?.lose(new Error('reset by the other side')))
    this.status = 'aborted'
  }

  #end(status: 'closed' | 'aborted', error?: Error): void {
    if (this.status !== 'open') return
    this.status = status
    this.timeline.close = Date.now()
    for (const answer of this.#opening.values()) answer(false)
    for (const stream of this.#streams.values()) stream.onTransportClosed(error)
    this.#streams.clear()
    this.#host.closed(this)
  }

  #addStream(number: number, protocol: string, direction: MessageStreamDirection): SimulatedStream {
    const send = (signal: StreamSignal): void =>
      this.tell((other) => other.#streams.get(number)?.receive(signal))
    const stream = new SimulatedStream({ id: `${this.id}/${number}`, protocol, direction, send })
    this.#streams.set(number, stream)
    stream.addEventListener('close', () => this.#streams.delete(number), { once: true })
    return stream
  }

  #streamAsked(number: number, protocol: string): void {
    const handler = this.#host.handlerOf(protocol)
    if (handler === undefined) {
      this.tell((other) => other.#opening.get(number)?.(false))
      return
    }
    const stream = this.#addStream(number, protocol, 'inbound')
    this.tell((other) => other.#opening.get(number)?.(true))
    void this.#serve(handler, stream)
  }

  async #serve(handler: StreamHandler, stream: SimulatedStream): Promise<void> {
    try {
      await handler(stream, this)
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('the handler failed', { cause: error }))
    }
  }
}

const transientPort = 50_000
/** Address that belongs to nobody: packets over the relay pass it without being seen there. */
export const relayAddress =
  '/ip4/10.255.255.1/tcp/4001/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit'
