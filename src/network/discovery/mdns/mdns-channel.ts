import { onLink, type UsableInterface } from '../../interfaces.ts'
import type { Clock } from '../../../api.ts'

import { SenderPace } from './mdns-pace.ts'
import type { DecodedPacket, Packet } from './mdns-packets.ts'
import { openMulticastSocket } from './mdns-socket.ts'
import type { MulticastSocket } from './mdns-socket.ts'

export type ChannelState =
  | { state: 'untried' }
  | { state: 'ready' }
  /** `blocked`: packets leave, and not even we get them. `error`: the system refuses. `detail` is a sentence part. */
  | { state: 'unavailable'; reason: 'blocked' | 'error'; detail: string }

export interface ChannelOptions {
  interface: UsableInterface
  family: 'ipv4' | 'ipv6'
  port: number
  clock: Clock
}

/** Whom a channel tells what comes of it. */
export interface ChannelListener {
  /** Takes a packet of this interface, and the IP address it came from. */
  packetHeard(packet: DecodedPacket, sender: string): void
  channelChanged(state: ChannelState): void
}

/**
 * Multicast on one interface and one IP family that detects its own failure: a system loops multicast packets back to the machine
 * that sent them, so when none of ours comes back within two seconds, something swallows them. Then, and after an error, the
 * socket is opened anew, and the next scheduled packet tries again.
 */
export class Channel {
  readonly #listener: ChannelListener
  readonly #options: ChannelOptions
  readonly #pace = new SenderPace()
  #socket: MulticastSocket | undefined
  #work: Promise<void> = Promise.resolve()
  #state: ChannelState = { state: 'untried' }
  #cancelVerdict: (() => void) | undefined
  #closed = false

  constructor(listener: ChannelListener, options: ChannelOptions) {
    this.#listener = listener
    this.#options = options
  }

  get state(): ChannelState {
    return this.#state
  }

  /** Opens the socket and never rejects: a failure becomes the state. */
  async open(): Promise<void> {
    this.#work = this.#reopen(this.#work)
    await this.#work
  }

  send(packet: Packet): void {
    this.#socket?.send(packet)
    if (this.#closed) return
    this.#cancelVerdict ??= this.#options.clock.after(patienceMs, () => {
      this.#cancelVerdict = undefined
      if (this.#state.state !== 'unavailable' || this.#state.reason === 'blocked') {
        this.#unavailable(
          'blocked',
          'multicast packets are swallowed, most likely by a firewall (UDP port 5353)',
        )
      }
      void this.open()
    })
  }

  /** Notes that a packet of our own was received. */
  cameBack(): void {
    this.#cancelVerdict?.()
    this.#cancelVerdict = undefined
    this.#report({ state: 'ready' })
  }

  /** Closes the socket; resolves when all packets have left. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelVerdict?.()
    await this.#work
    await this.#socket?.close()
  }

  async #reopen(before: Promise<void>): Promise<void> {
    await before
    await this.#socket?.close()
    this.#socket = undefined
    if (this.#closed) return
    const { interface: link, family, port } = this.#options
    const networks = onLink(link)
    this.#socket = await openMulticastSocket({
      interface: link,
      family,
      port,
      // A socket gets packets of its group from any interface; the sender's address tells which it was.
      onPacket: (packet, { address }) => {
        if (this.#closed || !networks.includes(address)) return
        if (!this.#pace.take(address, this.#options.clock.monotonic())) return
        this.#listener.packetHeard(packet, address)
      },
      onError: (error) => this.#unavailable('error', whatFailed(error, port)),
    })
  }

  #unavailable(reason: 'blocked' | 'error', detail: string): void {
    this.#report({ state: 'unavailable', reason, detail })
  }

  #report(state: ChannelState): void {
    if (this.#closed || JSON.stringify(state) === JSON.stringify(this.#state)) return
    this.#state = state
    this.#listener.channelChanged(state)
  }
}

/** Describes a failure as a sentence part. A firewall of this machine itself does not swallow packets, it refuses them. */
function whatFailed(error: Error, port: number): string {
  const code = 'code' in error ? error.code : undefined
  if (code === 'EPERM' || code === 'EACCES') {
    return `a firewall of this machine refuses multicast packets (UDP port ${port})`
  }
  return code === 'EADDRINUSE' ? `another program keeps UDP port ${port} to itself` : error.message
}

const patienceMs = 2_000
