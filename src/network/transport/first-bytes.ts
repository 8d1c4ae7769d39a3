import type { Socket } from 'node:net'
import type { Clock } from '../../api.ts'

export interface FirstBytesOptions {
  clock: Clock
  /** Sockets that may wait at a time. @default 128 */
  maxWaiting?: number
}

interface Waiting {
  readonly socket: Socket
  readonly network: string
  readonly stop: () => void
}

const maxWaitingByDefault = 128
/** Time within which the first byte has to come: whoever dials speaks first, in every protocol that is spoken here. */
const patienceMs = 10_000

/**
 * Sockets that were accepted, until their first byte is there: it says what is spoken. There is room for so many; beyond it the
 * network with the most (an IPv4 address, or the /64 of an IPv6 address) loses its oldest.
 */
export class FirstBytes {
  readonly #clock: Clock
  readonly #maxWaiting: number
  readonly #waiting = new Set<Waiting>()
  #isStopped = false

  constructor({ clock, maxWaiting = maxWaitingByDefault }: FirstBytesOptions) {
    this.#clock = clock
    this.#maxWaiting = maxWaiting
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Calls back with the first byte, which can still be read from the socket; not at all when none comes in time. */
  read(socket: Socket, network: string, onFirst: (byte: number) => void): void {
    if (this.#isStopped) {
      socket.on('error', ignored).destroy()
      return
    }
    const leave = (): void => {
      this.#waiting.delete(waiting)
      cancelTimer()
      socket.removeListener('readable', onReadable)
      socket.removeListener('end', stop)
      socket.removeListener('close', leave)
    }
    const stop = (): void => {
      leave()
      socket.destroy()
    }
    const onReadable = (): void => {
      const first: Buffer | null = socket.read(1)
      const byte = first?.[0]
      if (first === null || byte === undefined) return
      leave()
      socket.unshift(first)
      onFirst(byte)
    }
    const cancelTimer = this.#clock.after(patienceMs, stop)
    const waiting: Waiting = { socket, network, stop }
    this.#waiting.add(waiting)
    socket.on('error', ignored)
    socket.on('readable', onReadable)
    socket.once('end', stop)
    socket.once('close', leave)
    if (this.#waiting.size > this.#maxWaiting) this.#makeRoom()
  }

  /** Ends all that wait, and whoever comes until the port is closed. */
  stop(): void {
    this.#isStopped = true
    for (const { stop } of this.#waiting) stop()
  }

  #makeRoom(): void {
    const networks = Map.groupBy(this.#waiting, ({ network }) => network)
    const [fullest] = [...networks.values()].toSorted((one, other) => other.length - one.length)
    fullest?.[0]?.stop()
  }
}

/** Whatever ends the socket is seen by its end. */
function ignored(): void {}
