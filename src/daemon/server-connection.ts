import type { Socket } from 'node:net'
import * as v from 'valibot'
import { untilAborted } from '../abort.ts'
import type { Log, SpacedockNode } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import {
  answerLine,
  isMethodName,
  methods,
  requestLine,
  requestLineCapBytes,
  versionIndependentMethods,
} from './daemon-api.ts'
import { createQuestions, type Questions } from './questions.ts'
import { describeError } from './error-line.ts'
import { parseJson, readLines, writeLine } from './lines.ts'
import { type DaemonFacts, methodHandlers } from './methods.ts'
import { version } from '../version.ts'

export interface ConnectionOptions {
  node: SpacedockNode
  about: () => DaemonFacts
  log: Log
  onStop: () => void
  requestDeadlineMs: number
  /** Aborts when the daemon stops, with the error that running calls end with. */
  stopping: AbortSignal
}

/** Serves the one call of a connection. Never rejects; when it resolves, the client has its answer or has gone. */
export async function serveConnection(socket: Socket, options: ConnectionOptions): Promise<void> {
  const gone = new AbortController()
  const deadline = setTimeout(() => socket.destroy(), options.requestDeadlineMs)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    clearTimeout(deadline)
    gone.abort(new SpacedockError('cancelled', 'The command that asked for it has gone.'))
  })
  const lines = readLines(socket.iterator({ destroyOnReturn: false }), requestLineCapBytes)
  let isStop = false
  try {
    const first = await lines.next()
    clearTimeout(deadline)
    // Anything else is no client of ours but, say, a web page's HTTP request: no word to it (threat 39).
    if (first.done === true || !first.value.startsWith('{')) return
    const request = parse(requestLine, first.value)
    isStop = request.method === 'down'
    const signal = isStop ? gone.signal : AbortSignal.any([gone.signal, options.stopping])
    const questions = createQuestions((line) => writeLine(socket, line))
    void takeAnswers(lines, questions, gone)
    await writeLine(socket, {
      result: await untilAborted(run(request, socket, questions, signal, options), signal),
    })
  } catch (error) {
    if (!(error instanceof SpacedockError)) options.log('error', 'daemon.call-failed', { error })
    await writeLine(socket, { error: describeError(error) }).catch(() => undefined) // the client may have gone
  } finally {
    clearTimeout(deadline)
    if (!isStop) socket.destroySoon()
  }
  if (!isStop) return
  options.log('info', 'daemon.stop-requested')
  options.onStop()
}

async function run(
  { version: clientVersion, method, params }: v.InferOutput<typeof requestLine>,
  socket: Socket,
  questions: Questions,
  signal: AbortSignal,
  { node, about }: ConnectionOptions,
): Promise<unknown> {
  if (clientVersion !== version && !versionIndependentMethods.has(method)) {
    throw new SpacedockError(
      'daemon-version',
      `The daemon is version ${version}, and this command is version ${clientVersion}.`,
      { hint: 'Stop the daemon with "spacedock down"; the next command starts the right one.' },
    )
  }
  if (!isMethodName(method)) throw new SpacedockError('invalid-argument', 'The daemon has no such method.')
  const parsed = v.safeParse(methods[method].params, params)
  if (!parsed.success) {
    const [issue] = parsed.issues
    throw new SpacedockError(
      'invalid-argument',
      `What was asked with "${method}" makes no sense: ${v.getDotPath(issue) ?? 'parameters'}: ${issue.message}.`,
    )
  }
  const send = (event: unknown): Promise<void> => writeLine(socket, { event })
  // The schema of this very method has just checked the parameters; TypeScript cannot follow that through the table.
  const handle = methodHandlers[method] as (call: unknown) => Promise<unknown>
  return handle({ node, about, params: parsed.output, signal, send, ask: questions.ask })
}

/** Takes the client's remaining lines as answers. Its end, or a line that makes no sense, ends the call. */
async function takeAnswers(
  lines: AsyncGenerator<string, void, undefined>,
  questions: Questions,
  gone: AbortController,
): Promise<void> {
  try {
    for await (const line of lines) {
      const { answer } = parse(answerLine, line)
      questions.answer(answer.id, answer.value)
    }
    gone.abort(new SpacedockError('cancelled', 'The command that asked for it has gone.'))
  } catch (error) {
    gone.abort(error)
  }
}

function parse<Schema extends v.GenericSchema>(schema: Schema, line: string): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, parseJson(line))
  if (!parsed.success)
    throw new SpacedockError('invalid-message', 'A line is not what the daemon understands.')
  return parsed.output
}
