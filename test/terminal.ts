import { RunningProcess, type SpawnOptions } from './lab/process.ts'

/** Why a command cannot be given a terminal here: a sentence, or false. The programs called `script` differ elsewhere. */
export const whyNoTerminal =
  process.platform === 'linux' ? false : 'a terminal is made with script, as it is on Linux'

/** A command at a terminal of its own, and a person who reads its screen and types. */
export class Terminal {
  readonly #process: RunningProcess
  #seen = 0

  constructor(command: readonly string[], options: SpawnOptions = {}) {
    const line = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
    this.#process = new RunningProcess(
      ['script', '--quiet', '--return', '--command', line, '/dev/null'],
      options,
    )
  }

  /** All that was on the screen, without colours and cursor movements. */
  get screen(): string {
    return this.#process.stdout.replaceAll(controlSequences, '').replaceAll('\r', '')
  }

  /** Waits until the screen shows this, behind what an earlier call has found; returns the match. */
  async shows(pattern: RegExp, deadlineMs = 60_000): Promise<RegExpExecArray> {
    const match = await this.#process.until(
      () => pattern.exec(this.screen.slice(this.#seen)) ?? undefined,
      deadlineMs,
    )
    this.#seen += match.index + match[0].length
    return match
  }

  /** Types this: what the terminal echoes is on the screen, too. */
  type(text: string): void {
    this.#process.write(text)
  }

  async finished(deadlineMs = 60_000): Promise<{ code: number | null; screen: string }> {
    const { code } = await this.#process.finished(deadlineMs)
    return { code, screen: this.screen }
  }

  async stop(): Promise<void> {
    await this.#process.stop()
  }
}

/** Control Sequence Introducer and what belongs to it (ECMA-48, 5.4). */
// eslint-disable-next-line no-control-regex
const controlSequences = /\u001b\[[0-?]*[ -/]*[@-~]/gu
