import { addAbortListener } from 'node:events'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import { BoundedBuffer } from './bounded-buffer.ts'
import { abortReason, untilAborted } from '../abort.ts'
import { startDeadline } from './deadline.ts'
import type { Clock } from '../api.ts'
/**
 * Exchange of one question and one answer over a libp2p stream of its own, framed as rust-libp2p's `request_response::json`: the
 * asker writes one text and closes its write side, the answerer reads to the end, writes one text and closes. This file deals in
 * bytes; their meaning is the protocol's business.
 */

export interface RequestOptions {
  /** Cap on the answer. */
  maxBytes: number
  /** Timeout of the whole exchange. @default 30_000 */
  timeoutMs?: number
  signal?: AbortSignal
  clock?: Clock
}

/**
 * Sends a question and returns the answer. Rejects with `too-large`, `timed-out`, `interrupted` (reset, lost, or silence), or the
 * signal's reason.
 */
export async function request(
  stream: Stream,
  bytes: Uint8Array,
  options: RequestOptions,
): Promise<Uint8Array> {
  const deadline = startDeadline(options.timeoutMs ?? exchangeTimeoutMs, timedOut, options)
  try {
    // Reading starts first: an answer may come before close() has resolved.
    const [answer] = await Promise.all([
      readToEnd(stream, options.maxBytes, deadline.signal),
      sendAndClose(stream, bytes, deadline.signal),
    ])
    return answer
  } catch (error) {
    throw reset(stream, error)
  } finally {
    deadline.stop()
  }
}

export interface ServeOptions {
  /** Cap on the question. */
  maxBytes: number
  /** Timeout for the question to arrive completely. @default 10_000 */
  readTimeoutMs?: number
  /** Timeout of the whole exchange, including the peer's reading of the answer. @default 30_000 */
  timeoutMs?: number
  signal?: AbortSignal
  clock?: Clock
}

/**
 * Handles a question; `null` is silence: the stream is reset and nothing is sent. The signal aborts when nobody waits for the
 * answer any more.
 */
export type ServeHandler = (
  question: Uint8Array,
  options: { signal: AbortSignal },
) => Promise<Uint8Array | null>

export type ServeResult =
  { outcome: 'answered' } | { outcome: 'silent' } | { outcome: 'failed'; cause: Error }

/**
 * Serves one exchange and never rejects; every outcome but `answered` has reset the stream, with nothing or only part of an
 * answer sent.
 */
export async function serve(
  stream: Stream,
  options: ServeOptions,
  handler: ServeHandler,
): Promise<ServeResult> {
  const exchange = startDeadline(options.timeoutMs ?? exchangeTimeoutMs, timedOut, options)
  const reading = startDeadline(options.readTimeoutMs ?? readTimeoutMs, timedOut, {
    signal: exchange.signal,
    clock: options.clock,
  })
  const onClose = (): void => exchange.abort(interrupted())
  try {
    const question = await readToEnd(stream, options.maxBytes, reading.signal)
    reading.stop()
    stream.addEventListener('close', onClose)
    const answer = await untilAborted(handler(question, { signal: exchange.signal }), exchange.signal)
    // A close from here on is the normal end of the exchange.
    stream.removeEventListener('close', onClose)
    if (answer === null) {
      stream.abort(new Error('no answer'))
      return { outcome: 'silent' }
    }
    await sendAndClose(stream, answer, exchange.signal)
    return { outcome: 'answered' }
  } catch (error) {
    return { outcome: 'failed', cause: reset(stream, error) }
  } finally {
    stream.removeEventListener('close', onClose)
    reading.stop()
    exchange.stop()
  }
}

const exchangeTimeoutMs = 30_000
const readTimeoutMs = 10_000

async function sendAndClose(stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (bytes.byteLength > 0) stream.send(bytes)
  // close() waits until the muxer has taken all of it, which a peer that does not read can put off for ever.
  await untilAborted(stream.close({ signal }), signal)
}

/**
 * Reads everything up to the peer's half-close. A lost connection also ends the readable side, without an error, and must not be
 * taken for the end of a text: only `remoteCloseWrite` says that the peer finished.
 */
function readToEnd(stream: Stream, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise<Uint8Array>((resolve, reject) => {
    const buffer = new BoundedBuffer(maxBytes)
    let listening: Disposable | undefined
    let finished = stream.status === 'open' && stream.remoteWriteStatus === 'closed'

    const onMessage = (event: StreamMessageEvent): void => {
      if (!buffer.append(event.data.subarray())) settle(tooLarge(maxBytes))
      else if (stream.readableEnded) onEnd()
    }
    const onRemoteCloseWrite = (): void => {
      finished = true
    }
    const onEnd = (): void => settle(finished ? undefined : interrupted())
    const onClose = (event: StreamCloseEvent): void => settle(interrupted(event.error))
    const onAbort = (): void => settle(abortReason(signal))

    function settle(error: Error | undefined): void {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('remoteCloseWrite', onRemoteCloseWrite)
      stream.removeEventListener('end', onEnd)
      stream.removeEventListener('close', onClose)
      listening?.[Symbol.dispose]()
      if (error === undefined) resolve(buffer.take())
      else reject(error)
    }

    if (signal.aborted) return onAbort()
    if (stream.status !== 'open') return settle(interrupted())
    // Negotiation may have read ahead, past the end even, and pushed back what it did not need: 'end' does not come again.
    if (stream.readableEnded && stream.readBufferLength === 0) return onEnd()
    stream.maxReadBufferLength = maxBytes
    stream.addEventListener('remoteCloseWrite', onRemoteCloseWrite)
    stream.addEventListener('end', onEnd)
    stream.addEventListener('close', onClose)
    listening = addAbortListener(signal, onAbort)
    stream.addEventListener('message', onMessage)
    return undefined
  })
}

function reset(stream: Stream, cause: unknown): Error {
  const error = cause instanceof Error ? cause : interrupted(cause)
  stream.abort(error)
  return isLibp2pStreamError(error) ? interrupted(error) : error
}

function isLibp2pStreamError(error: Error): boolean {
  return (
    error.name === 'StreamResetError' ||
    error.name === 'StreamStateError' ||
    error.name === 'StreamAbortedError'
  )
}

function interrupted(cause?: unknown): SpacedockError {
  return new SpacedockError('interrupted', 'The other side ended the exchange without an answer.', { cause })
}

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The exchange was not finished in time.')
}

function tooLarge(maxBytes: number): SpacedockError {
  return new SpacedockError('too-large', `What the other side sent is larger than ${maxBytes} bytes.`)
}
