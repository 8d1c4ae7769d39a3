import type { ByteStream } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { decodeRemoteError, encodeRemoteError } from './remote-error.ts'
import { ByteReceiver, type ByteReceiverListener } from './byte-receiver.ts'
import { ByteSender, type ByteSenderListener } from './byte-sender.ts'
import type { Frame } from './frames.ts'
import type { OutgoingQueue } from './outgoing-queue.ts'
import type { ReceiveWindow } from './receive-window.ts'

/** Frame of a stream that has begun. */
export type StreamFrame = Frame & { type: 'accept' | 'data' | 'end' | 'credit' | 'stop' | 'reset' }

/** Owner of a session's streams. */
export interface StreamOwner {
  /** Sends what was queued since. */
  flush(): void
  /** Takes note that both sides have ended the stream: its channel may be used again. */
  finished(channel: number, side: 'opener' | 'server'): void
}

export interface ByteChannelOptions {
  channel: number
  /** Role of this side; `opener`: it asked for the stream. */
  side: 'opener' | 'server'
  outgoing: OutgoingQueue
  owner: StreamOwner
  window: ReceiveWindow
  /** Translates the error of the other side's handler into one that the application knows. */
  translateError?: ((error: Error) => Promise<Error>) | undefined
}

/**
 * Byte stream of a session. It is over when both sides have sent `end`, or both have sent `reset`: a side that gets a `reset` for
 * a stream that is not over answers with one, so that each knows when no frame can come any more.
 */
export class ByteChannel implements ByteSenderListener, ByteReceiverListener {
  readonly api: ByteStream
  readonly #options: ByteChannelOptions
  readonly #sender: ByteSender
  readonly #receiver: ByteReceiver
  readonly #controller = new AbortController()
  readonly #closed = Promise.withResolvers<void>()
  /** State of the stream; `opening`: only `accept` and `reset` may come; `reset`: sent by this side, not yet by the other. */
  #phase: 'opening' | 'open' | 'reset' | 'finished' = 'opening'

  constructor(options: ByteChannelOptions) {
    this.#options = options
    const { channel, outgoing, window } = options
    this.#closed.promise.catch(() => {})
    this.#sender = new ByteSender(channel, outgoing, this)
    this.#receiver = new ByteReceiver(this, window)
    this.api = Object.freeze({
      readable: this.#receiver.readable,
      writable: this.#sender.writable,
      closed: this.#closed.promise,
      abort: (reason?: unknown) => this.reset(reason),
    })
  }

  /** Aborts when the stream breaks, with the error as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isOpening(): boolean {
    return this.#phase === 'opening'
  }

  /** Accepts the stream. Throws the error that has broken it in the meantime. */
  accept(): ByteStream {
    this.signal.throwIfAborted()
    this.#sendControl('accept')
    this.#phase = 'open'
    return this.api
  }

  /** Handles a frame. Throws an error that ends the session. */
  receive(frame: StreamFrame): void {
    if (frame.type === 'reset') return this.#receiveReset(frame.payload)
    if (frame.type === 'accept') return this.#receiveAccept()
    if (this.#phase === 'opening') {
      throw new SpacedockError('invalid-message', 'The other device used a stream that is not open.')
    }
    if (frame.type === 'data') return this.#receiver.receive(frame.payload)
    if (frame.type === 'credit') return this.#receiveCredit(frame.payload)
    if (frame.type === 'stop') return this.#sender.stop(asCancelled(decodeRemoteError(frame.payload)))
    this.#receiver.end()
    return this.#noticeEnds()
  }

  /** Ends the stream after its handler: written bytes are sent, unread ones are dropped. */
  finish(): void {
    if (this.#phase !== 'open') return
    this.#sender.finish().catch(() => {})
    this.#receiver.cancel()
  }

  /** Takes note that the handler has ended, in whatever way: what it left unread is nobody's any more, or the application's own. */
  handlerEnded(): void {
    this.#receiver.release()
  }

  /** Resets the stream after its handler threw. A handler that was stopped counts as one that returned. */
  handlerFailed(thrown: unknown): void {
    if (this.#sender.isStop(thrown)) this.finish()
    else this.reset(thrown)
  }

  /** Ends both directions at once, and tells the other side why. */
  reset(reason: unknown): void {
    if (this.#phase === 'reset' || this.#phase === 'finished') return
    this.#options.outgoing.drop(this.#options.channel)
    this.#sendError('reset', reason ?? calledOff())
    this.#phase = 'reset'
    this.#breakWith(reason instanceof Error ? reason : calledOff(reason))
    this.#noticeEnds()
  }

  /** Ends the stream on this side only: the session is over, or the other side was never told of the stream. */
  fail(error: Error): void {
    if (this.#phase === 'finished') return
    const isReset = this.#phase === 'reset'
    this.#phase = 'finished'
    if (!isReset) this.#breakWith(error)
  }

  /** Grants the other side credit for so many more bytes. */
  grant(bytes: number): void {
    if (this.#phase !== 'open') return
    const { outgoing, channel, owner } = this.#options
    outgoing.pushCredit(channel, bytes)
    owner.flush()
  }

  readingCancelled(reason: unknown): void {
    if (this.#phase === 'open') this.#sendError('stop', reason ?? readsNoMore())
  }

  flush(): void {
    this.#options.owner.flush()
  }

  sendingEnded(): void {
    this.#noticeEnds()
  }

  #finished(): void {
    const { owner, channel, side } = this.#options
    owner.finished(channel, side)
  }

  #receiveAccept(): void {
    // The frame crossed with our reset.
    if (this.#phase === 'reset' && this.#options.side === 'opener') return
    if (this.#phase !== 'opening' || this.#options.side === 'server') {
      throw new SpacedockError('invalid-message', 'The other device accepted a stream out of turn.')
    }
    this.#phase = 'open'
  }

  #receiveCredit(payload: Uint8Array): void {
    const bytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
    if (bytes === 0 || !this.#sender.addCredit(bytes)) {
      throw new SpacedockError('invalid-message', 'The other device gave a credit that makes no sense.')
    }
  }

  #receiveReset(payload: Uint8Array): void {
    const wasReset = this.#phase === 'reset'
    if (!wasReset) {
      this.#options.outgoing.drop(this.#options.channel)
      this.#sendControl('reset', emptyObject)
    }
    this.#phase = 'finished'
    this.#finished()
    if (wasReset) return
    const error = this.#decodeError(payload)
    const { translateError } = this.#options
    if (translateError === undefined) this.#breakWith(error)
    else
      translateError(error).then(
        (translated) => this.#breakWith(translated),
        () => this.#breakWith(error),
      )
  }

  #noticeEnds(): void {
    if (this.#phase === 'finished' || !this.#sender.isEnded || !this.#receiver.isEnded) return
    this.#phase = 'finished'
    this.#closed.resolve()
    this.#finished()
  }

  #breakWith(error: Error): void {
    this.#sender.fail(error)
    this.#receiver.fail(error)
    this.#closed.reject(error)
    this.#controller.abort(error)
  }

  /** Decodes a reset: from a handler it is a failure, from the opener a cancellation. */
  #decodeError(payload: Uint8Array): SpacedockError {
    const error = decodeRemoteError(payload)
    return this.#options.side === 'opener' ? error : asCancelled(error)
  }

  #sendError(type: 'reset' | 'stop', reason: unknown): void {
    this.#sendControl(type, encodeRemoteError(reason))
  }

  #sendControl(type: 'accept' | 'reset' | 'stop', payload: Uint8Array = nothing): void {
    const { outgoing, channel, owner } = this.#options
    outgoing.pushControl({ type, more: false, channel, payload })
    owner.flush()
  }
}

const nothing = new Uint8Array(0)
const emptyObject = new TextEncoder().encode('{}')

function calledOff(cause?: unknown): SpacedockError {
  return new SpacedockError('cancelled', 'The stream was called off.', { cause })
}

function asCancelled(error: SpacedockError): SpacedockError {
  return new SpacedockError('cancelled', error.message, { cause: error })
}

function readsNoMore(): SpacedockError {
  return new SpacedockError('cancelled', 'The other device reads no more of the stream.')
}
