import type { AbortOptions, Logger, Stream } from '@libp2p/interface'
import { AbstractStream } from '@libp2p/utils'

/** Signals of a stream to its other end; delivered in order. */
export type StreamSignal =
  | { kind: 'data'; bytes: Uint8Array }
  /** Bytes taken out of the other end's buffer. */
  | { kind: 'credit'; byteLength: number }
  | { kind: 'close-write' }
  | { kind: 'close-read' }
  | { kind: 'reset' }

export interface SimulatedStreamOptions {
  id: string
  protocol: string
  direction: Stream['direction']
  send: (signal: StreamSignal) => void
}

/** A libp2p stream over a simulated connection, with a window as Yamux has it. */
export class SimulatedStream extends AbstractStream {
  readonly #send: (signal: StreamSignal) => void
  #unconfirmedBytes = 0
  #receivedBytes = 0
  #confirmedBytes = 0

  constructor({ send, ...init }: SimulatedStreamOptions) {
    super({ ...init, log: silent, maxMessageSize: maxPacketBytes })
    this.#send = send
  }

  receive(signal: StreamSignal): void {
    switch (signal.kind) {
      case 'data':
        this.#receivedBytes += signal.bytes.byteLength
        return this.onData(signal.bytes)
      case 'credit':
        this.#unconfirmedBytes -= signal.byteLength
        if (this.writableNeedsDrain) this.safeDispatchEvent('drain')
        return undefined
      case 'close-write':
        return this.onRemoteCloseWrite()
      case 'close-read':
        return this.onRemoteCloseRead()
      case 'reset':
        return this.status === 'open' || this.status === 'closing' ? this.onRemoteReset() : undefined
      default:
        return signal satisfies never
    }
  }

  sendData(data: Parameters<AbstractStream['sendData']>[0]): ReturnType<AbstractStream['sendData']> {
    const sentBytes = Math.min(data.byteLength, windowBytes - this.#unconfirmedBytes)
    if (sentBytes > 0) {
      this.#unconfirmedBytes += sentBytes
      this.#send({ kind: 'data', bytes: data.slice(0, sentBytes) })
    }
    return { sentBytes, canSendMore: this.#unconfirmedBytes < windowBytes }
  }

  override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    const taken = this.#receivedBytes - this.readBufferLength - this.#confirmedBytes
    if (taken <= 0 || this.status !== 'open') return
    this.#confirmedBytes += taken
    this.#send({ kind: 'credit', byteLength: taken })
  }

  sendReset(): void {
    this.#send({ kind: 'reset' })
  }

  async sendCloseWrite(_options?: AbortOptions): Promise<void> {
    this.#send({ kind: 'close-write' })
  }

  async sendCloseRead(_options?: AbortOptions): Promise<void> {
    this.#send({ kind: 'close-read' })
  }

  /** Does nothing: the window does it. */
  sendPause(): void {}
  sendResume(): void {}
}

const maxPacketBytes = 64 * 1024
const windowBytes = 256 * 1024

export const silent: Logger = Object.assign(() => {}, {
  enabled: false,
  error: () => {},
  trace: () => {},
  newScope: () => silent,
})
