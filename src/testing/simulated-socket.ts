import { Duplex } from 'node:stream'
import type { Attachment, SimulatedNetwork } from './simulated-network.ts'
import { Wire } from './wire.ts'

export interface SocketEnds<Host> {
  network: SimulatedNetwork<Host>
  from: Attachment<Host>
  to: Attachment<Host>
}

/** One end of a TCP connection, as a stream of bytes: for TLS, which is real. */
export class SimulatedSocket extends Duplex {
  #other: SimulatedSocket | undefined
  #wire: Pick<Wire<unknown>, 'send' | 'sendLoosely'> | undefined
  /** Whether the process that had it is gone: nothing happens here any more, and the kernel speaks for it. */
  #isOrphan = false
  #unconfirmedBytes = 0
  #unreadBytes = 0
  #waiting: (() => void) | undefined

  constructor() {
    super({ autoDestroy: true })
    // TLS reports what is wrong; a socket that it has given up needs nobody.
    this.on('error', () => {})
  }

  /** Attaches the other end, before anything is sent. */
  attach<Host>(other: SimulatedSocket, { network, from, to }: SocketEnds<Host>): void {
    this.#other = other
    this.#wire = new Wire({
      network,
      from,
      to,
      way: 'direct',
      isSending: () => !this.#isOrphan,
      isReceiving: () => !other.destroyed && !other.#isOrphan,
      onRefused: () => this.#reset(),
    })
  }

  /** Calls back at the other end: the connection is there, for both. */
  established(opened: () => void): void {
    this.#tell(opened)
  }

  /** Ends with the process. */
  vanish(): void {
    if (!this.destroyed) this.#sendReset()
    this.#isOrphan = true
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const bytes = Uint8Array.from(chunk)
    this.#unconfirmedBytes += bytes.byteLength
    this.#tell((other) => other.#arrived(bytes))
    if (this.#unconfirmedBytes < windowBytes) done()
    else this.#waiting = done
  }

  override _final(done: () => void): void {
    this.#tell((other) => void other.push(null))
    done()
  }

  override _read(): void {
    const readBytes = this.#unreadBytes
    if (readBytes === 0) return
    this.#unreadBytes = 0
    this.#tell((other) => other.#confirmed(readBytes))
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isOrphan && (!this.writableFinished || !this.readableEnded)) this.#sendReset()
    done(error)
  }

  #arrived(bytes: Uint8Array): void {
    this.#unreadBytes += bytes.byteLength
    if (this.push(bytes)) this._read()
  }

  #confirmed(byteLength: number): void {
    this.#unconfirmedBytes -= byteLength
    const done = this.#waiting
    if (done === undefined || this.#unconfirmedBytes >= windowBytes) return
    this.#waiting = undefined
    done()
  }

  #tell(deliver: (other: SimulatedSocket) => void): void {
    const other = this.#other
    if (other !== undefined) this.#wire?.send(() => deliver(other))
  }

  #sendReset(): void {
    const other = this.#other
    if (other !== undefined) this.#wire?.sendLoosely(() => other.#reset())
  }

  #reset(): void {
    if (!this.#isOrphan)
      this.destroy(Object.assign(new Error('reset by the other side'), { code: 'ECONNRESET' }))
  }
}

const windowBytes = 256 * 1024
