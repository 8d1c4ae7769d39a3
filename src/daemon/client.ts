import { addAbortListener } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import { tooManyFiles } from '../file-errors.ts'
import {
  answerLineCapBytes,
  type Confirmation,
  daemonLine,
  type Event,
  type MethodName,
  methods,
  type Params,
  requestLineCapBytes,
  type Result,
} from './daemon-api.ts'
import { restoreError } from './error-line.ts'
import { parseJson, readLines, writeLine } from './lines.ts'
import { findSocketAddress } from './socket-path.ts'
import { version } from '../version.ts'

export interface CallOptions<M extends MethodName> {
  /** Aborting closes the connection, which calls the whole thing off at the daemon. */
  signal?: AbortSignal
  /** Called with each event; the next one waits until this one is taken. */
  onEvent?: (event: Event<M>) => void | Promise<void>
  /** Answers a question; without it every question is answered with no. */
  onAsk?: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>
  /** Whether the call resolves only after the connection has closed: for `down`. */
  untilClosed?: boolean
}

/**
 * Calls the daemon of a data directory. Rejects with the daemon's error, with `no-daemon` when none runs, `timed-out` when it
 * does not answer, `interrupted` when it ends in the middle, or with the signal's reason.
 */
export async function callDaemon<M extends MethodName>(
  dataDir: string,
  method: M,
  params: Params<M>,
  options: CallOptions<M> = {},
): Promise<Result<M>> {
  const request = `${JSON.stringify({ version, method, params })}\n`
  if (Buffer.byteLength(request) > requestLineCapBytes) {
    throw new SpacedockError(
      'too-large',
      'This is larger than 2 MiB, which is the most that the daemon takes at once.',
      {
        hint: 'Split it into smaller pieces.',
      },
    )
  }
  options.signal?.throwIfAborted()
  const socket = await openConnection(await findSocketAddress(dataDir))

  const ended = new AbortController()
  const { deadlineMs } = methods[method]
  const deadline =
    deadlineMs === null ? undefined : setTimeout(() => ended.abort(noAnswer(deadlineMs)), deadlineMs)
  const signal = options.signal === undefined ? ended.signal : AbortSignal.any([options.signal, ended.signal])
  using _listening = addAbortListener(signal, () => socket.destroy())
  try {
    signal.throwIfAborted()
    socket.write(request)
    return await readAnswer(socket, dataDir, method, options, ended)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(deadline)
    ended.abort(new SpacedockError('cancelled', 'The call is over.'))
    socket.destroy()
  }
}

/** Whether a daemon can be reached at all. */
export async function isDaemonRunning(dataDir: string): Promise<boolean> {
  try {
    const socket = await openConnection(await findSocketAddress(dataDir))
    socket.destroy()
    return true
  } catch (error) {
    if (error instanceof SpacedockError && error.code === 'no-daemon') return false
    throw error
  }
}

async function readAnswer<M extends MethodName>(
  socket: Socket,
  dataDir: string,
  method: M,
  options: CallOptions<M>,
  ended: AbortController,
): Promise<Result<M>> {
  const questions = new Map<number, AbortController>()
  let result: { value: Result<M> } | null = null
  try {
    for await (const text of readLines(socket, answerLineCapBytes)) {
      const line = parse(daemonLine, parseJson(text))
      if ('event' in line) await options.onEvent?.(parse(methods[method].event, line.event))
      else if ('ask' in line) void answerQuestion(socket, line.ask, questions, options, ended)
      else if ('withdrawn' in line) questions.get(line.withdrawn.id)?.abort()
      else if ('error' in line) throw restoreError(line.error)
      else {
        result = { value: parse(methods[method].result, line.result) }
        if (options.untilClosed !== true) return result.value
      }
    }
  } catch (error) {
    // A daemon that ends hard after it has answered has done what it was asked for.
    if (result === null) throw isSocketError(error) ? await brokenOff(dataDir, error) : error
  } finally {
    for (const question of questions.values()) question.abort()
  }
  if (result === null) throw await brokenOff(dataDir)
  return result.value
}

/** Answers beside the reading of lines, because the daemon may withdraw the question. Never rejects: it ends the call instead. */
async function answerQuestion<M extends MethodName>(
  socket: Socket,
  { id, name, deviceId, digits }: Confirmation & { id: number },
  questions: Map<number, AbortController>,
  { onAsk }: CallOptions<M>,
  ended: AbortController,
): Promise<void> {
  const question = new AbortController()
  questions.set(id, question)
  try {
    const value =
      onAsk === undefined ? false : await onAsk({ name, deviceId, digits }, { signal: question.signal })
    if (!question.signal.aborted) await writeLine(socket, { answer: { id, value } })
  } catch (error) {
    if (!question.signal.aborted && !socket.destroyed) ended.abort(error)
  } finally {
    questions.delete(id)
  }
}

async function openConnection(address: string | null): Promise<Socket> {
  if (address === null) throw notRunning()
  const socket = connect(address)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (cause) => reject(connectFailed(cause)))
  })
  socket.on('error', () => socket.destroy()) // reading reports it too
  return socket
}

function connectFailed(cause: Error): SpacedockError {
  const code = 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') return notRunning()
  if (code === 'EACCES' || code === 'EPERM') {
    return new SpacedockError('directory-unusable', 'This user may not use the data directory.', {
      hint: 'Choose another one with --dir, or correct its owner and mode (0700).',
      cause,
    })
  }
  return (
    tooManyFiles(cause) ??
    new SpacedockError('internal', `The daemon cannot be reached: ${cause.message}.`, {
      hint: 'Close some programs, then try again.',
      cause,
    })
  )
}

function parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return parsed.output
  throw new SpacedockError(
    'daemon-version',
    'The daemon answered something that this command does not understand.',
    {
      hint: 'Stop it with "spacedock down"; the next command starts the right one.',
    },
  )
}

function isSocketError(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof SpacedockError) && 'code' in error
}

/** Error of a connection that ended without an answer. A daemon that cannot take another one closes it, and goes on. */
async function brokenOff(dataDir: string, cause?: Error): Promise<SpacedockError> {
  if (await isDaemonRunning(dataDir).catch(() => false)) {
    return new SpacedockError('interrupted', 'The daemon runs, and broke this call off.', {
      hint: 'Try again in a moment. If many commands run at once, end some, or let the daemon open more files ("ulimit -n").',
      cause,
    })
  }
  return new SpacedockError('interrupted', 'The daemon ended before it answered.', {
    hint: 'Try again; the end of daemon.log in the data directory may say why.',
    cause,
  })
}

function noAnswer(deadlineMs: number): SpacedockError {
  return new SpacedockError('timed-out', `The daemon did not answer within ${deadlineMs / 1000} s.`, {
    hint: 'Try again; if that does not help, end its process: its number is in daemon.log in the data directory.',
  })
}

function notRunning(): SpacedockError {
  return new SpacedockError('no-daemon', 'The daemon is not running.', {
    hint: 'Start it with "spacedock up".',
  })
}
