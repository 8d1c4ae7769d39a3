import { addAbortListener } from 'node:events'
import { SpacedockError } from '../../errors.ts'
import { Backoff } from '../backoff.ts'
import { TokenBucket } from '../token-bucket.ts'
import type { Clock } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
export interface AttemptScheduleOptions {
  clock: Clock
  /** Returns a random number in [0, 1). */
  random: () => number
  /**
   * Tries a device once; never rejects, resolves with whether there has to be another try. `dialSignal` aborts when dialling
   * should start over or make room for others, `signal` when the attempt is not wanted any more.
   */
  attempt: (peerId: PeerId, signals: AttemptSignals) => Promise<'retry' | 'enough'>
}

export interface AttemptSignals {
  signal: AbortSignal
  dialSignal: AbortSignal
}

interface Due {
  kind: 'due'
  atMs: number
  /** Whether there is reason to believe that the device is there. */
  urgent: boolean
}

interface Running {
  kind: 'running'
  urgent: boolean
  startedAtMs: number
  /** Kind of attempt that has to follow. */
  again: 'no' | 'routine' | 'urgent'
  whole: AbortController
  dial: AbortController
  done: Promise<void>
}

interface Entry {
  peerId: PeerId
  backoff: Backoff
  /** Time that its dial may take while others wait for the slot. */
  patienceMs: number
  plan: { kind: 'idle' } | Due | Running
}

/**
 * Decides which device is tried when: one timer, a bounded number of concurrent attempts and a bounded number of retries a
 * minute, however many devices there are and however few of them answer. Devices known to be there come first, then those that
 * failed least often, then those that have waited longest; one that does not answer gives up its slot to them.
 */
export class AttemptSchedule {
  readonly #options: AttemptScheduleOptions
  readonly #entries = new Map<PeerId, Entry>()
  readonly #running = new Set<{ entry: Entry; plan: Running }>()
  readonly #repetitions = new TokenBucket(repetitionPace)
  #stopped = false
  #cancelTimer: () => void = () => {}

  constructor(options: AttemptScheduleOptions) {
    this.#options = options
  }

  /** Tries these devices in order, as slots are free: their waiting times are over, and dials under way start over. */
  restart(peerIds: readonly PeerId[]): void {
    for (const peerId of peerIds) this.#advance(this.#entry(peerId), 'routine')
    this.#startDue()
  }

  /** Tries a device at once and before others: its waiting time is over. A dial that began without this knowledge starts over. */
  hurry(peerId: PeerId): void {
    this.#advance(this.#entry(peerId), 'urgent')
    this.#startDue()
  }

  /** Plans a retry after a failure, later every time; none when one is planned already. */
  retry(peerId: PeerId): void {
    this.#planRetry(this.#entry(peerId))
    this.#startDue()
  }

  /** Resets the waiting times of a device that has proved stable. */
  forgive(peerId: PeerId): void {
    this.#entry(peerId).backoff.reset()
  }

  /** Cancels the planned attempt; one that runs is left to finish. */
  pause(peerId: PeerId): void {
    const entry = this.#entry(peerId)
    entry.patienceMs = firstPatienceMs
    if (entry.plan.kind === 'running') entry.plan.again = 'no'
    else entry.plan = { kind: 'idle' }
  }

  /** Ends the running attempt; resolves when it has ended. */
  async forget(peerId: PeerId, reason: Error): Promise<void> {
    const entry = this.#entries.get(peerId)
    this.#entries.delete(peerId)
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
    const key = peerId
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const backoff = new Backoff(this.#options.random)
    const entry: Entry = { peerId, backoff, patienceMs: firstPatienceMs, plan: { kind: 'idle' } }
    this.#entries.set(key, entry)
    return entry
  }

  #advance(entry: Entry, how: 'routine' | 'urgent'): void {
    const { plan, backoff } = entry
    backoff.reset()
    if (plan.kind !== 'running') {
      const urgent = how === 'urgent' || (plan.kind === 'due' && plan.urgent)
      entry.plan = { kind: 'due', atMs: this.#now(), urgent }
    } else if (!plan.urgent && plan.again !== 'urgent') {
      plan.again = how
      plan.dial.abort(new SpacedockError('cancelled', 'There is news: the device is dialled anew.'))
    }
  }

  #startDue(): void {
    this.#cancelTimer()
    if (this.#stopped) return
    const now = this.#now()
    let nextMs = Number.POSITIVE_INFINITY
    const due: { entry: Entry; plan: Due }[] = []
    for (const entry of this.#entries.values()) {
      const { plan } = entry
      if (plan.kind !== 'due') continue
      if (plan.atMs <= now) due.push({ entry, plan })
      else nextMs = Math.min(nextMs, plan.atMs)
    }
    due.sort((one, other) => rank(one) - rank(other) || one.plan.atMs - other.plan.atMs)
    let isCrowded = false
    const places = { urgent: maxOfAKind, routine: maxOfAKind }
    for (const { plan } of this.#running) places[plan.urgent ? 'urgent' : 'routine']--
    for (const { entry, plan } of due) {
      const kind = plan.urgent ? 'urgent' : 'routine'
      const isRepetition = kind === 'routine' && entry.backoff.failures > 0
      if (isRepetition && this.#repetitions.freeAtMs > now) {
        nextMs = Math.min(nextMs, this.#repetitions.freeAtMs)
        continue
      }
      if (places[kind] <= 0 || this.#running.size >= maxAttempts) {
        isCrowded = true
        continue
      }
      places[kind]--
      if (isRepetition) this.#repetitions.take(now)
      this.#start(entry, plan.urgent)
    }
    if (isCrowded) nextMs = Math.min(nextMs, this.#makePlace(now))
    if (nextMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.#options.clock.after(nextMs - now, () => this.#startDue())
    }
  }

  /** Aborts dials that have used up their time while others wait. Returns when the next one will have. */
  #makePlace(now: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const { entry, plan } of this.#running) {
      if (plan.dial.signal.aborted) continue
      const untilMs = plan.startedAtMs + entry.patienceMs
      if (untilMs > now) nextMs = Math.min(nextMs, untilMs)
      else {
        entry.patienceMs = Math.min(longestPatienceMs, entry.patienceMs * 2)
        plan.dial.abort(new SpacedockError('timed-out', 'The device did not answer while others waited.'))
      }
    }
    return nextMs
  }

  #start(entry: Entry, urgent: boolean): void {
    const whole = new AbortController()
    const dial = new AbortController()
    addAbortListener(whole.signal, () => dial.abort(whole.signal.reason))
    const done = Promise.resolve()
    const plan: Running = {
      kind: 'running',
      urgent,
      startedAtMs: this.#now(),
      again: 'no',
      whole,
      dial,
      done,
    }
    entry.plan = plan
    plan.done = this.#run(entry, plan, { signal: whole.signal, dialSignal: dial.signal })
  }

  async #run(entry: Entry, plan: Running, signals: AttemptSignals): Promise<void> {
    const place = { entry, plan }
    this.#running.add(place)
    const next = await this.#options.attempt(entry.peerId, signals)
    this.#running.delete(place)
    if (plan.again !== 'no') entry.plan = { kind: 'due', atMs: this.#now(), urgent: plan.again === 'urgent' }
    else {
      entry.plan = { kind: 'idle' }
      if (next === 'retry') this.#planRetry(entry)
    }
    this.#startDue()
  }

  #planRetry(entry: Entry): void {
    if (entry.plan.kind !== 'idle') return
    entry.plan = { kind: 'due', atMs: this.#now() + entry.backoff.next(), urgent: false }
  }
}

function rank({ entry, plan }: { entry: Entry; plan: Due }): number {
  return plan.urgent ? -1 : Math.min(entry.backoff.failures, manyFailures)
}

/** Limit of concurrent attempts. Neither the urgent ones nor the others ever take all the slots. */
const maxAttempts = 16
const maxOfAKind = 12
/** Patience of a first dial: time to begin with all addresses of most devices (`address-race.ts`); doubled each time. */
const firstPatienceMs = 3_000
const longestPatienceMs = 24_000
/** Rate of retries, which fewer than a hundred devices never reach: their waiting times alone keep below it. */
const repetitionPace = { everyMs: 250, inARow: 50 }
const manyFailures = 8
