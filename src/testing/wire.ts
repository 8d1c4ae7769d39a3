import type { Attachment, SimulatedNetwork, Way } from './simulated-network.ts'

export interface WireOptions<Host> {
  network: SimulatedNetwork<Host>
  from: Attachment<Host>
  to: Attachment<Host>
  way: Way
  /** Whether the sender, or the receiver, still knows of the connection. */
  isSending: () => boolean
  isReceiving: () => boolean
  /** Called when the receiver's computer knows no such connection any more, and said so. */
  onRefused: () => void
}

/**
 * One direction of a connection, as TCP makes it of a network that loses packets, doubles them and changes their order:
 * everything arrives once and in order, later, as long as both ends are there.
 */
export class Wire<Host> {
  readonly #options: WireOptions<Host>
  readonly #addresses: readonly [string, string]
  /** Packets that arrived before what comes first. */
  readonly #early = new Map<number, () => void>()
  #sent = 0
  #received = 0

  constructor(options: WireOptions<Host>) {
    this.#options = options
    this.#addresses = [options.from.ip, options.to.ip]
  }

  /** Calls `deliver` at the other end, in the order of the calls. */
  send(deliver: () => void): void {
    this.#transmit(this.#sent++, deliver, firstRepetitionMs)
  }

  /** Tells the other end at once, and only if nothing goes wrong. */
  sendLoosely(deliver: () => void): void {
    const { network, from, to, way } = this.#options
    if (this.#isRoutable()) network.transmit(from, to, { arrive: deliver, way })
  }

  #transmit(sequence: number, deliver: () => void, repeatAfterMs: number): void {
    const { network, from, to, way, isSending } = this.#options
    const lost = (): void => {
      network.clock.after(repeatAfterMs, () => {
        if (isSending()) this.#transmit(sequence, deliver, Math.min(2 * repeatAfterMs, longestRepetitionMs))
      })
    }
    // An address that is somebody else's by now: nobody will ever answer.
    if (this.#isRoutable())
      network.transmit(from, to, { arrive: () => this.#arrive(sequence, deliver), lost, way })
  }

  #arrive(sequence: number, deliver: () => void): void {
    const { network, from, to, way, isReceiving, onRefused } = this.#options
    if (!isReceiving()) return network.transmit(to, from, { arrive: onRefused, way })
    if (sequence < this.#received || this.#early.has(sequence)) return
    this.#early.set(sequence, deliver)
    for (let next = this.#early.get(this.#received); next !== undefined;) {
      this.#early.delete(this.#received++)
      next()
      next = isReceiving() ? this.#early.get(this.#received) : undefined
    }
  }

  #isRoutable(): boolean {
    const { from, to } = this.#options
    return from.ip === this.#addresses[0] && to.ip === this.#addresses[1]
  }
}

/** First wait of RFC 6298, without its slow extremes. */
const firstRepetitionMs = 200
const longestRepetitionMs = 3_200
