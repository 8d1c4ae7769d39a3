import { serviceCapabilities, type Startable, type Stream, type StreamMessageEvent } from '@libp2p/interface'
import { ping, type Ping, type PingComponents } from '@libp2p/ping'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'

/**
 * libp2p's ping (`/ipfs/ping/1.0.0`): sends back what it gets, for as long as pings come. js-libp2p's own would end every
 * stream after 10 s, good or not, which rust-libp2p and go-libp2p, whose pings share one stream, take for a failure; and
 * holds without bound what is sent by a peer that does not read.
 */
export function pingService({ clock = systemClock }: { clock?: Clock } = {}): (
  components: PingComponents,
) => Ping {
  return (components) => new PingService(components, clock)
}

class PingService implements Ping, Startable {
  readonly [Symbol.toStringTag] = '@libp2p/ping'
  readonly [serviceCapabilities] = ['@libp2p/ping']
  readonly ping: Ping['ping']
  readonly #registrar: PingComponents['registrar']
  readonly #clock: Clock

  constructor(components: PingComponents, clock: Clock) {
    const asker = ping()(components)
    this.ping = (peer, options) => asker.ping(peer, options)
    this.#registrar = components.registrar
    this.#clock = clock
  }

  async start(): Promise<void> {
    await this.#registrar.handle(protocol, (stream) => sendBack(stream, this.#clock), {
      maxInboundStreams,
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    await this.#registrar.unhandle(protocol)
  }
}

function sendBack(stream: Stream, clock: Clock): void {
  let stopTimer: (() => void) | undefined
  const waitForNext = (): void => {
    stopTimer?.()
    stopTimer = clock.after(idleMs, () => stream.abort(new Error('no ping came')))
  }
  const onMessage = ({ data }: StreamMessageEvent): void => {
    if (stream.writeBufferLength + data.byteLength > maxUnreadBytes) {
      stream.abort(new Error('more pings than answers are read'))
      return
    }
    stream.send(data)
    waitForNext()
  }
  const onEnd = (): void => {
    // The other side's reset, or our own, needs no answer.
    if (stream.status === 'open') void stream.close().catch((error: Error) => stream.abort(error))
  }
  stream.addEventListener('end', onEnd)
  stream.addEventListener('close', () => stopTimer?.())
  stream.addEventListener('message', onMessage)
  waitForNext()
  // Negotiation may have read ahead, past the end even: 'end' does not come again.
  if (stream.status !== 'open') stopTimer?.()
  else if (stream.readableEnded && stream.readBufferLength === 0) onEnd()
}

const protocol = '/ipfs/ping/1.0.0'
/** Limit per connection. Two are enough for a pinger; streams of earlier pings may still be closing. */
const maxInboundStreams = 8
/** Idle timeout of a stream, as in go-libp2p; rust-libp2p sends a ping every 15 s. */
const idleMs = 60_000
/** Limit of unread bytes; a ping has 32. */
const maxUnreadBytes = 4_096
