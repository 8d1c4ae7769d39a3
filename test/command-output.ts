import type { Finished, RunningProcess } from './lab/process.ts'

/** One line that the command prints with `--json`: the fields that the contract names, and any others. */
export interface OutputLine {
  event?: string
  words?: string
  uri?: string
  sessionId?: string
  expiresAt?: string
  device?: { id: string; name: string; peerId: string }
  id?: string
  name?: string
  peerId?: string
  state?: string
  path?: string | null
  address?: string | null
  lastSeen?: string | null
  lastFailure?: { code: string; message: string; hint: string | null } | null
  message?: string
  running?: boolean
  pid?: number
  listen?: string[]
  from?: { id: string; name: string }
  text?: string
  json?: unknown
  at?: string
  [field: string]: unknown
}

export interface CommandResult {
  code: number | null
  lines: OutputLine[]
  stderr: string
}

/** A `spacedock` command in progress. */
export class RunningCommand {
  readonly process: RunningProcess

  constructor(running: RunningProcess) {
    this.process = running
  }

  /** The first line with this `event`, as soon as it is there. */
  async waitForEvent(event: string, options: { deadlineMs?: number } = {}): Promise<OutputLine> {
    return await this.waitForLine((line) => line.event === event, options)
  }

  async waitForLine(
    matches: (line: OutputLine) => boolean,
    options: { deadlineMs?: number } = {},
  ): Promise<OutputLine> {
    return parseLine(await this.process.line((line) => matches(parseLine(line)), options))
  }

  /** The first line of progress, on standard error, that fits. */
  async progress(
    matches: (line: OutputLine) => boolean,
    options: { deadlineMs?: number } = {},
  ): Promise<OutputLine> {
    const fits = (line: string): boolean => line.startsWith('{') && matches(parseLine(line))
    return parseLine(await this.process.line(fits, { ...options, stream: 'stderr' }))
  }

  /** Writes and ends the input. */
  end(text: string): void {
    this.process.end(text)
  }

  write(text: string): void {
    this.process.write(text)
  }

  /** As Ctrl-C does. */
  async interrupt(): Promise<CommandResult> {
    this.process.kill('SIGINT')
    return await this.finished()
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.process.exited
  }

  async finished(deadlineMs?: number): Promise<CommandResult> {
    const finished = await this.process.finished(deadlineMs)
    return { code: finished.code, lines: parseLines(finished), stderr: finished.stderr }
  }
}

export function parseLines({ stdout }: Finished): OutputLine[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine)
}

function parseLine(line: string): OutputLine {
  try {
    return JSON.parse(line) as OutputLine
  } catch (cause) {
    throw new Error(`not a line of JSON on standard output: ${line}`, { cause })
  }
}
