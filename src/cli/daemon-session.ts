import type { MethodName, Params, Result } from '../daemon/daemon-api.ts'
import { callDaemon, type CallOptions, isDaemonRunning } from '../daemon/client.ts'
import { type DaemonSettings, startDaemon } from '../daemon/process.ts'
import { SpacedockError } from '../errors.ts'
import { told } from './command-hints.ts'
import { optionOf } from './daemon-settings.ts'
import type { Output } from './output.ts'

export interface DaemonSessionOptions {
  dataDir: string
  binPath: string
  /** Settings of this command line for the daemon's start. */
  settings: DaemonSettings
  mayStart: boolean
  output: Output
  signal: AbortSignal
}

/** Daemon as one command sees it: called, and started when the first call finds none. */
export class DaemonSession {
  readonly #options: DaemonSessionOptions
  #isKnownToRun = false

  constructor(options: DaemonSessionOptions) {
    this.#options = options
  }

  async call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options: Omit<CallOptions<M>, 'signal'> = {},
  ): Promise<Result<M>> {
    const { dataDir, mayStart, settings, signal } = this.#options
    const call = (): Promise<Result<M>> => callDaemon(dataDir, method, params, { ...options, signal })
    if (Object.keys(settings).length > 0) await this.ensureRunning()
    try {
      const result = await told(call())
      return result
    } catch (error) {
      if (!mayStart || this.#isKnownToRun || !isNotRunning(error)) throw error
    }
    await this.ensureRunning()
    return told(call())
  }

  /** Starts the daemon when none runs: says so in one line, and waits until it answers. Tells whether one ran already. */
  async ensureRunning(): Promise<'started' | 'running'> {
    const { output, dataDir, binPath, settings, mayStart, signal } = this.#options
    if (this.#isKnownToRun) return 'running'
    if (await isDaemonRunning(dataDir)) {
      this.#isKnownToRun = true
      const given = Object.keys(settings).map(optionOf)
      if (given.length > 0) {
        const text = `The daemon runs already, so ${given.join(' and ')} had no effect: "spacedock down" first.`
        output.progress({ event: 'ignored' }, text)
      }
      return 'running'
    }
    if (!mayStart)
      throw new SpacedockError('no-daemon', 'The daemon is not running.', {
        hint: 'Start it with "spacedock up".',
      })
    output.progress({ event: 'starting' }, 'Starting the daemon ...')
    await told(startDaemon({ dataDir, binPath, settings, signal }))
    this.#isKnownToRun = true
    return 'started'
  }
}

function isNotRunning(error: unknown): boolean {
  return error instanceof SpacedockError && error.code === 'no-daemon'
}
