import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { atExit } from './at-exit.ts'

export interface SpawnOptions {
  /** Added to this process's own environment; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>
  cwd?: string
}

export interface RunOptions extends SpawnOptions {
  /** Written to standard input, which is then closed. @default nothing */
  input?: string
  /** Killed, and the promise rejected, after this long. @default 30_000 */
  deadlineMs?: number
}

export interface Finished {
  /** Null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Somewhere commands can be run: this machine, or a host of a lab. */
export interface Place {
  readonly name: string
  /** The only network interfaces that may be used there; undefined for all there are. */
  readonly interfaces?: readonly string[]
  run(command: readonly string[], options?: RunOptions): Promise<Finished>
  spawn(command: readonly string[], options?: SpawnOptions): RunningProcess
}

/** Runs a command to its end. Rejects when it cannot be started or its deadline passes, not for an exit code. */
export async function runProcess(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const running = new RunningProcess(command, options)
  running.end(options.input ?? '')
  return await running.finished(options.deadlineMs)
}

/**
 * A child process in a process group of its own, all of which dies with `kill`, and with this process. Its output is
 * kept from the start, so that waiting for a line cannot come too late.
 */
export class RunningProcess {
  /** Settles when the process has ended and its output is complete; rejects only when it could not be started. */
  readonly exited: Promise<Finished>
  readonly #command: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  readonly #watchers = new Set<() => void>()
  #state: 'running' | 'ended' = 'running'

  constructor(command: readonly string[], options: SpawnOptions = {}) {
    const [file = '', ...args] = command
    this.#command = command.join(' ')
    this.#child = spawn(file, args, {
      cwd: options.cwd,
      // A test file's own marker would make a Node child believe that it is a part of the test run.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...options.env },
      detached: hasProcessGroups,
    })
    const forget = atExit(() => {
      this.kill('SIGKILL')
    })
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
    const ended = (): void => {
      forget()
      this.#state = 'ended'
      this.#notify()
    }
    this.exited.then(ended, ended)
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#child[stream].on('data', (chunk: Buffer) => {
        this.#output[stream].push(chunk)
        this.#notify()
      })
    }
    // A command that ends without reading its input closes the pipe; how it ended is told by `exited`.
    this.#child.stdin.on('error', () => {})
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#command} could not be started`)
    return this.#child.pid
  }

  get running(): boolean {
    return this.#state === 'running'
  }

  get stdout(): string {
    return this.stdoutBytes().toString()
  }

  get stderr(): string {
    return Buffer.concat(this.#output.stderr).toString()
  }

  stdoutBytes(): Buffer {
    return Buffer.concat(this.#output.stdout)
  }

  /** Complete lines so far, without their line ends. */
  lines(stream: 'stdout' | 'stderr' = 'stdout'): string[] {
    return this[stream].split('\n').slice(0, -1)
  }

  /** The first line of all its output that matches, as soon as it is there. Rejects at the deadline, or when the process ends without one. */
  async line(
    matches: (line: string) => boolean,
    options: { stream?: 'stdout' | 'stderr'; deadlineMs?: number } = {},
  ): Promise<string> {
    const { stream = 'stdout', deadlineMs } = options
    return await this.until(() => this.lines(stream).find(matches), deadlineMs)
  }

  /** Looks after every piece of output until there is a value. */
  async until<T>(look: () => T | undefined, deadlineMs = 90_000): Promise<T> {
    return await new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        clearTimeout(timer)
        this.#watchers.delete(check)
        outcome()
      }
      const fail = (why: unknown): void => {
        settle(() => {
          reject(this.#failure(String(why)))
        })
      }
      const check = (): void => {
        try {
          const found = look()
          if (found !== undefined) {
            settle(() => {
              resolve(found)
            })
          } else if (!this.running) fail('ended without what was waited for')
        } catch (error) {
          fail(error)
        }
      }
      const timer = setTimeout(fail, deadlineMs, `was waited for in vain for ${deadlineMs} ms`)
      this.#watchers.add(check)
      check()
    })
  }

  /** Resolves when the process has ended by itself; kills it at the deadline, and rejects. */
  async finished(deadlineMs = 90_000): Promise<Finished> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.kill('SIGKILL')
    }, deadlineMs)
    try {
      const finished = await this.exited
      if (late) throw this.#failure(`had not ended after ${deadlineMs} ms and was killed`)
      return finished
    } finally {
      clearTimeout(timer)
    }
  }

  write(text: string): void {
    this.#child.stdin.write(text)
  }

  /** Closes its standard input, after `text`. */
  end(text = ''): void {
    this.#child.stdin.end(text)
  }

  /** Signals the whole process group. */
  kill(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return
    try {
      if (hasProcessGroups) process.kill(-this.#child.pid, signal)
      else this.#child.kill(signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    if (signal === 'SIGKILL') this.#closeOutputAfterExit()
  }

  /** Asks it to end, insists after `graceMs`, and resolves when it has ended. */
  async stop(graceMs = 10_000): Promise<void> {
    if (!this.running) return
    this.kill('SIGTERM')
    const timer = setTimeout(() => {
      this.kill('SIGKILL')
    }, graceMs)
    await this.exited.finally(() => {
      clearTimeout(timer)
    })
  }

  /** A descendant that left the group may hold the output open for ever: after a kill, stop listening to it. */
  #closeOutputAfterExit(): void {
    const close = (): void => {
      this.#child.stdout.destroy()
      this.#child.stderr.destroy()
    }
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.once('exit', () => setImmediate(close))
    else close()
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #failure(why: string): Error {
    const output = `--- stdout\n${this.stdout.slice(-4000)}\n--- stderr\n${this.stderr.slice(-4000)}`
    return new Error(`${this.#command}: ${why}\n${output}`)
  }
}

const hasProcessGroups = process.platform !== 'win32'
