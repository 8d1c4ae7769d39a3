import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Setting } from './jobs/job.ts'

/** What a program may take for one order, with room for the slowest machine. */
const orderTimeoutMs = 900_000

const nodeOptions = ['--disable-warning=ExperimentalWarning']

/** Another network than this machine's. */
export interface Place {
  namespace: string
  env: Record<string, string>
}

/** A process that carries out orders one after the other; it goes when it is stopped, or the benchmark is gone. */
export class Program<Order> {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Starts a file of this folder; resolves when it says that it is ready. Killed when the run is called off. */
  static async start<Order>(
    file: string,
    args: readonly string[],
    { checkout, signal }: Pick<Setting, 'checkout' | 'signal'>,
    place: Place | null = null,
  ): Promise<Program<Order>> {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      env: { ...process.env, BENCH_CHECKOUT: checkout, ...place?.env },
      ...(place === null
        ? { execArgv: nodeOptions }
        : { execPath: 'ip', execArgv: ['netns', 'exec', place.namespace, process.execPath, ...nodeOptions] }),
      signal,
      killSignal: 'SIGKILL',
    })
    // Told of by its end.
    child.on('error', () => {})
    const program = new Program<Order>(child)
    try {
      await program.#answer()
      return program
    } catch (error) {
      await program.stop()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async order<Answer>(order: Order): Promise<Answer> {
    if (!this.#child.connected) throw new Error('the process has ended')
    const answer = this.#answer()
    this.#child.send(order as object)
    return answer as Promise<Answer>
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => void this.#child.once('exit', () => resolve()))
    const killing = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    if (this.#child.connected) this.#child.disconnect()
    await gone
    clearTimeout(killing)
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        clearTimeout(timeout)
        this.#child.off('message', onMessage).off('exit', onExit)
        settled()
      }
      const onMessage = (message: { answer: unknown } | { error: unknown }): void =>
        settle(() =>
          'error' in message ? reject(new Error(String(message.error))) : resolve(message.answer),
        )
      const onExit = (): void => settle(() => reject(new Error('the process ended too soon')))
      const timeout = setTimeout(() => {
        settle(() => reject(new Error(`no answer within ${orderTimeoutMs / 1_000} s`)))
      }, orderTimeoutMs)
      this.#child.on('message', onMessage).on('exit', onExit)
    })
  }
}
