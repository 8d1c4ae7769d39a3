import { addAbortListener } from 'node:events'
import type { ByteStream } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { abortReason } from '../../abort.ts'
import { Semaphore } from '../../semaphore.ts'
import { startDeadline } from '../deadline.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { ByteChannel, type StreamFrame, type StreamOwner } from './byte-channel.ts'
import type { Call } from './call.ts'
import type { Frame } from './frames.ts'
import { decodeRequestHeader, encodeRequest, maxSingleFrameTextBytes } from './request-header.ts'
import { ReceiveWindow } from './receive-window.ts'
import type { SessionCarrier } from './session-carrier.ts'
import { processWindows, sessionWindowBytes, WindowBudget } from './window-budget.ts'

export interface OpenStreamOptions {
  /** Aborts the opening, and ends the stream afterwards. */
  signal?: AbortSignal
  /** Translates the error of the other side's handler into one that the application knows. */
  translateError?: (error: Error) => Promise<Error>
}

/** Byte streams of one session, opened by either side. */
export class ByteStreams implements StreamOwner {
  readonly #session: SessionCarrier
  readonly #ours = new Map<number, ByteChannel>()
  readonly #theirs = new Map<number, ByteChannel>()
  /** Listeners for the accept of our streams, by channel. */
  readonly #onAccepted = new Map<number, () => void>()
  /** Room for our streams, and what each has of it, by channel. */
  readonly #room = new Semaphore(maxStreams)
  readonly #places = new Map<number, Disposable>()
  readonly #over = new AbortController()
  #handlers = 0
  readonly #windows = new WindowBudget(sessionWindowBytes, processWindows)

  constructor(session: SessionCarrier) {
    this.#session = session
  }

  get isIdle(): boolean {
    return this.#theirs.size === 0 && this.isOwnIdle
  }

  /** Whether no stream that this side opened is under way. */
  get isOwnIdle(): boolean {
    return this.#room.isIdle
  }

  uses(channel: number): boolean {
    return this.#theirs.has(channel)
  }

  /**
   * Opens a stream; resolves when the other side has accepted. Rejects with its error, `too-large`, `timed-out`, or the signal's
   * reason.
   */
  async open(
    { name, version, value }: Call,
    { signal, translateError }: OpenStreamOptions = {},
  ): Promise<ByteStream> {
    signal?.throwIfAborted()
    const text = encodeJson(value)
    if (text.byteLength > maxSingleFrameTextBytes) {
      throw new SpacedockError(
        'too-large',
        `The request that opens a stream is larger than ${maxSingleFrameTextBytes} bytes.`,
      )
    }
    const deadline = startDeadline(openTimeoutMs, timedOut, { signal, clock: this.#session.clock })
    try {
      const body = encodeRequest(name, version, text)
      const place = await this.#room.acquire({
        signal: AbortSignal.any([deadline.signal, this.#over.signal]),
      })
      this.#over.signal.throwIfAborted()
      const channel = await this.#begin(body, place, translateError, deadline.signal)
      if (signal !== undefined) resetOnAbort(channel, signal)
      return channel.api
    } finally {
      deadline.stop()
    }
  }

  /** Handles a frame. Throws an error that ends the session. */
  receive(frame: StreamFrame): void {
    const { channel, type } = frame
    const isOurs = this.#session.channels.isOurs(channel)
    const known = (isOurs ? this.#ours : this.#theirs).get(channel)
    if (known === undefined) {
      // These types may cross with the end of the stream; the others cannot.
      if (type === 'credit' || type === 'stop' || type === 'reset') return
      throw new SpacedockError(
        'invalid-message',
        `The other device sent ${type} on a stream that is not open.`,
      )
    }
    known.receive(frame)
    if (type === 'accept') this.#onAccepted.get(channel)?.()
  }

  /** Fails all streams when the session is over. */
  failAll(reason: Error): void {
    const all = [...this.#ours.values(), ...this.#theirs.values()]
    this.#over.abort(reason)
    this.#ours.clear()
    this.#theirs.clear()
    for (const place of this.#places.values()) place[Symbol.dispose]()
    this.#places.clear()
    for (const channel of all) channel.fail(reason)
    this.#windows.close()
  }

  #begin(
    body: Uint8Array,
    place: Disposable,
    translateError: OpenStreamOptions['translateError'],
    signal: AbortSignal,
  ): Promise<ByteChannel> {
    const { outgoing, channels } = this.#session
    const number = channels.take()
    const opening = this.#channel(number, 'opener', translateError)
    let hasLeft = false
    this.#ours.set(number, opening)
    this.#places.set(number, place)
    const onTaken = (): void => {
      hasLeft = true
    }
    outgoing.pushMessage({ type: 'open', channel: number, body, onTaken })
    this.#session.flush()
    return new Promise<ByteChannel>((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.#onAccepted.delete(number)
        for (const each of listening) each[Symbol.dispose]()
        act()
      }
      const onBroken = (): void => settle(() => reject(abortReason(opening.signal)))
      const onAbort = (): void => {
        settle(() => reject(abortReason(signal)))
        if (hasLeft) return opening.reset(undefined)
        outgoing.drop(number)
        opening.fail(abortReason(signal))
        return this.#forget(number, 'opener')
      }
      this.#onAccepted.set(number, () => settle(() => resolve(opening)))
      const listening = [addAbortListener(opening.signal, onBroken), addAbortListener(signal, onAbort)]
    })
  }

  /** Handles an `open` frame, on a channel of the other side. Throws an error that ends the session. */
  receiveOpen({ channel, payload }: Frame): void {
    if (this.#theirs.has(channel)) {
      throw new SpacedockError('invalid-message', 'The other device opened a stream on a channel in use.')
    }
    if (this.#theirs.size >= maxStreams) {
      throw new SpacedockError('too-large', 'The other device opened too many streams at once.')
    }
    const { name, version, rest } = decodeRequestHeader(payload)
    const opened = this.#channel(channel, 'server', undefined)
    this.#theirs.set(channel, opened)
    if (this.#handlers >= maxHandlers) return opened.reset(busy())
    // The payload is a view into the received chunk, which it would keep alive.
    void this.#run(opened, name, version, rest.slice())
  }

  /** Runs the handler of a stream. Never rejects. */
  async #run(opened: ByteChannel, name: string, version: number, body: Uint8Array): Promise<void> {
    const { signal } = opened
    this.#handlers++
    try {
      const caller = { peerId: this.#session.remotePeer, signal, accept: () => opened.accept() }
      await this.#session.calls.stream({ name, version, value: decodeJson(body) }, caller)
      opened.finish()
    } catch (error) {
      opened.handlerFailed(error)
    } finally {
      opened.handlerEnded()
      this.#handlers--
    }
  }

  #channel(
    channel: number,
    side: 'opener' | 'server',
    translateError: OpenStreamOptions['translateError'],
  ): ByteChannel {
    const { outgoing, path } = this.#session
    const window = new ReceiveWindow(this.#windows, path)
    return new ByteChannel({ channel, side, outgoing, owner: this, window, translateError })
  }

  flush(): void {
    this.#session.flush()
  }

  finished(channel: number, side: 'opener' | 'server'): void {
    this.#forget(channel, side)
  }

  #forget(channel: number, side: 'opener' | 'server'): void {
    if (side === 'opener') {
      if (!this.#ours.delete(channel)) return
      this.#session.channels.release(channel)
      this.#places.get(channel)?.[Symbol.dispose]()
      this.#places.delete(channel)
    } else if (!this.#theirs.delete(channel)) return
    this.#session.noticeIdle()
  }
}

function resetOnAbort(channel: ByteChannel, signal: AbortSignal): void {
  const listening = addAbortListener(signal, () => channel.reset(abortReason(signal)))
  const stop = (): void => listening[Symbol.dispose]()
  channel.api.closed.then(stop, stop)
}

/** Limit of open streams, for each side. With the growth of windows (`sessionWindowBytes`) it is that of a session's unread bytes. */
export const maxStreams = 64
// Limit of running handlers, above that of streams: a handler may outlive its stream.
const maxHandlers = 128
const openTimeoutMs = 30_000

function busy(): SpacedockError {
  return new SpacedockError('remote-failure', 'The other device is busy with too many streams at once.')
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not accept the stream in time.')
}
