import { styleText } from 'node:util'
import { printableJson, printableLine } from '../daemon/printable.ts'
import { SpacedockError } from '../errors.ts'

/** Standard output or error, as far as it is used here. */
export interface Screen {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
  rows?: number
}

export interface OutputOptions {
  stdout: Screen
  stderr: Screen
  json: boolean
  quiet: boolean
  environment?: NodeJS.ProcessEnv
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan'

/**
 * Output of the command. Results go to standard output, as text or, with --json, as one JSON object a line and nothing else;
 * progress and hints go to standard error, in the same form.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly #stdout: Screen
  readonly #stderr: Screen
  readonly #environment: NodeJS.ProcessEnv
  #status = ''

  constructor({ stdout, stderr, json, quiet, environment = process.env }: OutputOptions) {
    this.json = json
    this.quiet = quiet
    this.#stdout = stdout
    this.#stderr = stderr
    this.#environment = environment
  }

  /** Prints a result: `value` for programs, `text` for people. */
  result(value: object, text: string): void {
    this.#print(this.#stdout, this.json ? printableJson(value) : text)
  }

  /** Prints a result that only people see, such as a heading. */
  text(text: string): void {
    if (!this.json) this.#print(this.#stdout, text)
  }

  /** Prints progress, which is not a result. */
  progress(event: { event: string; [field: string]: unknown }, text: string): void {
    if (!this.quiet) this.#print(this.#stderr, this.json ? printableJson({ ...event, message: text }) : text)
  }

  /** Prints what a person needs to answer a question: also when little is to be said. */
  question(event: { event: string; [field: string]: unknown }, text: string): void {
    this.#print(this.#stderr, this.json ? printableJson({ ...event, message: text }) : text)
  }

  error(error: SpacedockError): void {
    const { code, message, hint } = error
    if (this.json)
      this.#print(this.#stderr, printableJson({ event: 'error', code, message, hint: hint ?? null }))
    else {
      this.#print(this.#stderr, `spacedock: ${printableLine(message)}`)
      if (hint !== undefined && !this.quiet) this.#print(this.#stderr, printableLine(hint))
    }
  }

  /** Rewrites one line at the bottom of a terminal in place; an empty text takes it away. */
  status(line: string): void {
    if (!this.isLively || (line === '' && this.#status === '')) return
    this.#stderr.write(`${clearLine}${line}`)
    this.#status = line
  }

  /** Whether standard error is a terminal on which lines may change. */
  get isLively(): boolean {
    return this.#stderr.isTTY === true && !this.json && !this.quiet && this.#environment['TERM'] !== 'dumb'
  }

  /** Size of the terminal that results are shown on, or null when they go to a file or a program. */
  get terminal(): { columns: number; rows: number } | null {
    if (this.#stdout.isTTY !== true || this.json) return null
    return { columns: this.#stdout.columns ?? 80, rows: this.#stdout.rows ?? 24 }
  }

  get isColoured(): boolean {
    const { NO_COLOR: noColour, TERM: terminal } = this.#environment
    return this.terminal !== null && (noColour === undefined || noColour === '') && terminal !== 'dumb'
  }

  paint(style: Style, text: string): string {
    return this.isColoured ? styleText(style, text, { validateStream: false }) : text
  }

  #print(screen: Screen, text: string): void {
    const status = this.#status
    this.status('')
    screen.write(`${text}\n`)
    this.status(status)
  }
}

const clearLine = '\r\u001b[2K'
