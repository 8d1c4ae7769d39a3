import { addAbortListener } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { untilAborted } from '../abort.ts'
import { SpacedockError } from '../errors.ts'
import type { Output } from './output.ts'
import { discardTypeahead, type TypeaheadInput } from './typeahead.ts'

export interface PersonOptions {
  stdin: TypeaheadInput
  /** Stream for questions: never among the results. */
  stderr: NodeJS.WritableStream
  output: Output
  /** Whether questions are allowed; false with --no-input. */
  mayAsk: boolean
  /** Called at Ctrl-C at a prompt. */
  interrupt: () => void
}

/** A person at a terminal, or a program, at standard input. */
export class Person {
  readonly #options: PersonOptions
  #hasReadLines = false

  constructor(options: PersonOptions) {
    this.#options = options
  }

  /** Whether somebody is there to answer a question. */
  get canAnswer(): boolean {
    return this.#options.mayAsk && this.#options.stdin.isTTY === true
  }

  /** Throws away what was typed, or sent by a program, before the question that follows. Rejects with the signal's reason. */
  async discardTypeahead({ signal }: { signal: AbortSignal }): Promise<void> {
    const { stdin, interrupt } = this.#options
    await discardTypeahead(stdin, { signal, interrupt })
  }

  /** Returns the line typed, or null at the end of the input. Rejects with the signal's reason. */
  async ask(question: string, { signal }: { signal: AbortSignal }): Promise<string | null> {
    signal.throwIfAborted()
    const { stdin, stderr, output, interrupt } = this.#options
    output.status('')
    if (stdin.readableEnded) return null // a readline on it would wait for ever
    const prompt = createInterface({ input: stdin, output: stderr, terminal: true, historySize: 0 })
    prompt.on('SIGINT', interrupt)
    try {
      const answer = await answerTo(prompt, question, signal)
      if (answer === null) stderr.write('\n')
      return answer
    } catch (error) {
      stderr.write('\n')
      throw error
    } finally {
      prompt.close()
      stdin.pause()
    }
  }

  /** Whether a person who has seen the question says yes. */
  async confirm(question: string, options: { signal: AbortSignal }): Promise<boolean> {
    await this.discardTypeahead(options)
    const answer = await this.ask(`${question} [y/N] `, options)
    return answer !== null && /^\s*y(?:es)?\s*$/iu.test(answer)
  }

  /**
   * Returns the next line that comes, null at the end; what comes with it, behind the line, is thrown away. Rejects with the
   * signal's reason.
   */
  async nextLine({ signal }: { signal: AbortSignal }): Promise<string | null> {
    const { stdin } = this.#options
    this.#hasReadLines = true
    signal.throwIfAborted()
    if (stdin.readableEnded) return null
    const lines = createInterface({ input: stdin, terminal: false })
    try {
      return await nextLineOf(lines, signal)
    } finally {
      lines.close()
    }
  }

  /** Reads all of standard input as text, without the last line break, which is not counted. */
  async readAll({ signal, capBytes }: { signal: AbortSignal; capBytes: number }): Promise<string> {
    const chunks: Buffer[] = []
    let length = 0
    const { stdin } = this.#options
    using _listening = addAbortListener(signal, () => stdin.destroy())
    try {
      for await (const chunk of stdin as AsyncIterable<Buffer>) {
        length += chunk.length
        if (length > capBytes + 2)
          throw new SpacedockError('too-large', `The standard input holds more than ${capBytes} bytes.`, {
            hint: 'Split it into smaller pieces.',
          })
        chunks.push(chunk)
      }
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
    signal.throwIfAborted()
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)).replace(/\r?\n$/u, '')
    } catch (cause) {
      throw new SpacedockError('invalid-argument', 'The standard input is not UTF-8 text.', {
        hint: 'Convert it to UTF-8 first.',
        cause,
      })
    }
  }

  /** Lets the process end although standard input is still open. */
  leave(): void {
    this.#options.stdin.pause()
    if (this.#hasReadLines) this.#options.stdin.destroy()
  }
}

async function answerTo(prompt: Interface, question: string, signal: AbortSignal): Promise<string | null> {
  const answer = nextLineOf(prompt, signal)
  prompt.setPrompt(question)
  prompt.prompt()
  return answer
}

async function nextLineOf(lines: Interface, signal: AbortSignal): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  lines.once('line', resolve)
  lines.once('close', () => resolve(null))
  return await untilAborted(promise, signal)
}
