import type { Log } from '../api.ts'

/** Limit of defects within a minute: more are no accident, and the process ends for a service manager to start it anew. */
export const mostDefectsPerMinute = 10
const windowMs = 60_000

export interface DefectsOptions {
  log: Log
  /** Prefix of the events in the log. */
  program: 'daemon' | 'rendezvous'
  /** Called once, when there were too many. */
  onTooMany: () => void
  /** Source of time, monotonic milliseconds. @default performance.now */
  now?: () => number
}

/**
 * Last resort for uncaught exceptions: each is logged and counted, and the process stays. Sockets that close at a bad moment have
 * thrown out of libp2p's streams, and that must not end every device's connection. But an exception that comes again and again,
 * or during the start, is told and ends it.
 */
export class Defects {
  readonly #options: DefectsOptions
  readonly #now: () => number
  readonly #recent: number[] = []
  #count = 0
  #phase: 'running' | 'too-many' = 'running'
  #failStart: ((error: unknown) => void) | null = null

  constructor(options: DefectsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    process.on('uncaughtException', this.#onException)
    process.on('unhandledRejection', this.#onRejection)
  }

  /** Number of defects since the start. */
  get count(): number {
    return this.#count
  }

  /** Fails the start on an exception that nobody caught meanwhile: a program that is half there helps nobody. */
  async guard<Started>(start: Promise<Started>): Promise<Started> {
    const { promise: failed, reject } = Promise.withResolvers<never>()
    this.#failStart = reject
    try {
      return await Promise.race([start, failed])
    } finally {
      this.#failStart = null
    }
  }

  stop(): void {
    process.off('uncaughtException', this.#onException)
    process.off('unhandledRejection', this.#onRejection)
  }

  readonly #onException = (error: unknown): void => this.#met('uncaught-exception', error)

  readonly #onRejection = (reason: unknown): void => this.#met('unhandled-rejection', reason)

  #met(kind: 'uncaught-exception' | 'unhandled-rejection', error: unknown): void {
    this.#count++
    // The process ends already: the log shall show what it was, and not only the last of it.
    if (this.#phase === 'too-many') return
    this.#log(kind, { error })
    if (this.#failStart !== null) return this.#failStart(error)
    const now = this.#now()
    this.#recent.push(now)
    while ((this.#recent[0] ?? now) < now - windowMs) this.#recent.shift()
    if (this.#recent.length <= mostDefectsPerMinute) return
    this.#phase = 'too-many'
    this.#log('too-many-defects', { within: `${windowMs / 1000} s`, defects: this.#recent.length })
    this.#options.onTooMany()
  }

  /**
   * Logs without ever throwing: there is nobody left to catch it. A thrown value may be anything, also something that cannot be
   * read.
   */
  #log(event: string, fields: Record<string, unknown>): void {
    const { log, program } = this.#options
    try {
      log('error', `${program}.${event}`, fields)
    } catch {
      log('error', `${program}.${event}`, { error: 'it cannot be described' })
    }
  }
}
