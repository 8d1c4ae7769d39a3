import type { PeerId } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { backoffMs } from './reconnect-schedule.ts'
import type { Clock } from '../../api.ts'
export interface AttemptScheduleOptions {
  clock: Clock
  /** In [0, 1). */
  random: () => number
  /**
   * One try at a device; never rejects, says whether there has to be another. `dialSignal` aborts when dialling should
   * start over, `signal` when the attempt is not wanted any more.
   */
  attempt: (peerId: PeerId, signals: AttemptSignals) => Promise<'retry' | 'enough'>
}

export interface AttemptSignals {
  signal: AbortSignal
  dialSignal: AbortSignal
}

type Plan =
  | { kind: 'idle' }
  /** `urgent` when there is reason to believe that the device is there */
  | { kind: 'due'; atMs: number; urgent: boolean }
  | {
      kind: 'running'
      urgent: boolean
      again: boolean
      whole: AbortController
      dial: AbortController
      done: Promise<void>
    }

interface Entry {
  peerId: PeerId
  failures: number
  plan: Plan
}

/**
 * Decides which device is tried when: one timer and a bounded number of attempts at once, however many devices there are
 * and however few of them answer.
 */
export class AttemptSchedule {
  readonly #options: AttemptScheduleOptions
  readonly #entries = new Map<string, Entry>()
  #running = 0
  #stopped = false
  #cancelTimer: () => void = () => {}

  constructor(options: AttemptScheduleOptions) {
    this.#options = options
  }

  /** As soon as there is a place; nothing when it is planned already. */
  begin(peerId: PeerId): void {
    const entry = this.#entry(peerId)
    if (entry.plan.kind === 'idle') entry.plan = { kind: 'due', atMs: this.#now(), urgent: false }
    this.#startDue()
  }

  /** At once and before others: its waiting time is over. A dial that began without this knowledge starts over. */
  hurry(peerId: PeerId): void {
    const entry = this.#entry(peerId)
    entry.failures = 0
    if (entry.plan.kind !== 'running') entry.plan = { kind: 'due', atMs: this.#now(), urgent: true }
    else if (!entry.plan.urgent && !entry.plan.again) {
      entry.plan.again = true
      entry.plan.dial.abort(new SpacedockError('cancelled', 'The device was seen: it is dialled anew.'))
    }
    this.#startDue()
  }

  /** After a failure: later every time. Nothing when it is planned already. */
  retry(peerId: PeerId): void {
    this.#planRetry(this.#entry(peerId))
    this.#startDue()
  }

  /** It has shown to be well: the next waiting time is a short one. */
  forgive(peerId: PeerId): void {
    this.#entry(peerId).failures = 0
  }

  /** No attempt is wanted for now; one that runs is left to finish. */
  pause(peerId: PeerId): void {
    const entry = this.#entry(peerId)
    if (entry.plan.kind === 'running') entry.plan.again = false
    else entry.plan = { kind: 'idle' }
  }

  /** Ends the attempt that runs; resolves when it has ended. */
  async forget(peerId: PeerId, reason: Error): Promise<void> {
    const entry = this.#entries.get(peerId.toString())
    this.#entries.delete(peerId.toString())
    if (entry?.plan.kind !== 'running') return
    entry.plan.whole.abort(reason)
    await entry.plan.done
  }

  /** Ends all attempts; resolves when they have ended. */
  async stop(reason: Error): Promise<void> {
    this.#stopped = true
    this.#cancelTimer()
    await Promise.all([...this.#entries.values()].map(({ peerId }) => this.forget(peerId, reason)))
  }

  #now(): number {
    return this.#options.clock.monotonic()
  }

  #entry(peerId: PeerId): Entry {
    const key = peerId.toString()
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const entry: Entry = { peerId, failures: 0, plan: { kind: 'idle' } }
    this.#entries.set(key, entry)
    return entry
  }

  #startDue(): void {
    this.#cancelTimer()
    if (this.#stopped) return
    const now = this.#now()
    let nextMs = Number.POSITIVE_INFINITY
    const due: { entry: Entry; atMs: number; urgent: boolean }[] = []
    for (const entry of this.#entries.values()) {
      if (entry.plan.kind !== 'due') continue
      if (entry.plan.atMs <= now) due.push({ entry, atMs: entry.plan.atMs, urgent: entry.plan.urgent })
      else nextMs = Math.min(nextMs, entry.plan.atMs)
    }
    due.sort((a, b) => Number(b.urgent) - Number(a.urgent) || a.atMs - b.atMs)
    for (const { entry, urgent } of due) {
      // Some places stay free for devices known to be there. Who finds none is started when an attempt ends.
      if (this.#running >= (urgent ? maxAttempts : maxRoutineAttempts)) break
      this.#start(entry, urgent)
    }
    if (nextMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.#options.clock.after(nextMs - now, () => this.#startDue())
    }
  }

  #start(entry: Entry, urgent: boolean): void {
    const whole = new AbortController()
    const dial = new AbortController()
    whole.signal.addEventListener('abort', () => dial.abort(whole.signal.reason), { once: true })
    const running: Plan = { kind: 'running', urgent, again: false, whole, dial, done: Promise.resolve() }
    this.#running++
    entry.plan = running
    running.done = this.#run(entry, running, { signal: whole.signal, dialSignal: dial.signal })
  }

  async #run(entry: Entry, running: Plan & { kind: 'running' }, signals: AttemptSignals): Promise<void> {
    const next = await this.#options.attempt(entry.peerId, signals)
    this.#running--
    if (running.again) entry.plan = { kind: 'due', atMs: this.#now(), urgent: true }
    else {
      entry.plan = { kind: 'idle' }
      if (next === 'retry') this.#planRetry(entry)
    }
    this.#startDue()
  }

  #planRetry(entry: Entry): void {
    if (entry.plan.kind !== 'idle') return
    const delayMs = backoffMs(entry.failures, this.#options.random())
    entry.failures++
    entry.plan = { kind: 'due', atMs: this.#now() + delayMs, urgent: false }
  }
}

/** At the same time; routine attempts leave a few places to urgent ones. */
export const maxAttempts = 16
export const maxRoutineAttempts = 12
