import { addAbortListener } from 'node:events'
import { SpacedockError } from '../../errors.ts'
import { TokenBucket } from '../token-bucket.ts'
import type { Clock } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import {
  firstPatienceMs,
  type AttemptPlan,
  type AttemptSignals,
  type Due,
  type Running,
} from './attempt-plan.ts'

/** Device as far as the schedule knows it. */
export interface TriedPeer {
  readonly plan: AttemptPlan
  /** Tries it once; never rejects, resolves with whether there has to be another try. */
  attempt(signals: AttemptSignals): Promise<'retry' | 'enough'>
}

export interface AttemptScheduleOptions {
  clock: Clock
  /** All devices, with and without a planned attempt. */
  peers: ReadonlyMap<PeerId, TriedPeer>
}

/**
 * Decides which device is tried when: one timer, a bounded number of concurrent attempts and a bounded number of retries a
 * minute, however many devices there are and however few of them answer. Devices known to be there come first, then those that
 * failed least often, then those that have waited longest; one that does not answer gives up its slot to them.
 */
export class AttemptSchedule {
  readonly #clock: Clock
  readonly #peers: ReadonlyMap<PeerId, TriedPeer>
  readonly #running = new Set<{ plan: AttemptPlan; state: Running }>()
  readonly #repetitions = new TokenBucket(repetitionPace)
  #stopped = false
  #cancelTimer: () => void = () => {}

  constructor({ clock, peers }: AttemptScheduleOptions) {
    this.#clock = clock
    this.#peers = peers
  }

  /** Tries these devices in order, as slots are free: their waiting times are over, and dials under way start over. */
  restart(peers: readonly TriedPeer[]): void {
    for (const { plan } of peers) this.#advance(plan, 'routine')
    this.#startDue()
  }

  /** Tries a device at once and before others: its waiting time is over. A dial that began without this knowledge starts over. */
  hurry({ plan }: TriedPeer): void {
    this.#advance(plan, 'urgent')
    this.#startDue()
  }

  /** Plans a retry after a failure, later every time; none when one is planned already. */
  retry({ plan }: TriedPeer): void {
    this.#planRetry(plan)
    this.#startDue()
  }

  /** Resets the waiting times of a device that has proved stable. */
  forgive({ plan }: TriedPeer): void {
    plan.backoff.reset()
  }

  /** Cancels the planned attempt; one that runs is left to finish. */
  pause({ plan }: TriedPeer): void {
    plan.patienceMs = firstPatienceMs
    if (plan.state.kind === 'running') plan.state.again = 'no'
    else plan.state = { kind: 'idle' }
  }

  /** Ends the running attempt, and cancels the planned one; resolves when it has ended. */
  async forget(peer: TriedPeer, reason: Error): Promise<void> {
    this.pause(peer)
    const { state } = peer.plan
    if (state.kind !== 'running') return
    state.whole.abort(reason)
    await state.done
  }

  /** Ends all attempts; resolves when they have ended. */
  async stop(reason: Error): Promise<void> {
    this.#stopped = true
    this.#cancelTimer()
    await Promise.all([...this.#peers.values()].map((peer) => this.forget(peer, reason)))
  }

  #now(): number {
    return this.#clock.monotonic()
  }

  #advance(plan: AttemptPlan, how: 'routine' | 'urgent'): void {
    const { state, backoff } = plan
    backoff.reset()
    if (state.kind !== 'running') {
      const urgent = how === 'urgent' || (state.kind === 'due' && state.urgent)
      plan.state = { kind: 'due', atMs: this.#now(), urgent }
    } else if (!state.urgent && state.again !== 'urgent') {
      state.again = how
      state.dial.abort(new SpacedockError('cancelled', 'There is news: the device is dialled anew.'))
    }
  }

  #startDue(): void {
    this.#cancelTimer()
    if (this.#stopped) return
    const now = this.#now()
    const { due, nextMs } = this.#dueAt(now)
    let wakeMs = nextMs
    let isCrowded = false
    const slots = { urgent: maxOfAKind, routine: maxOfAKind }
    for (const { state } of this.#running) slots[state.urgent ? 'urgent' : 'routine']--
    for (const { peer, state } of due) {
      const kind = state.urgent ? 'urgent' : 'routine'
      const isRepetition = kind === 'routine' && peer.plan.backoff.failures > 0
      if (isRepetition && this.#repetitions.freeAtMs > now) {
        wakeMs = Math.min(wakeMs, this.#repetitions.freeAtMs)
        continue
      }
      if (slots[kind] <= 0 || this.#running.size >= maxAttempts) {
        isCrowded = true
        continue
      }
      slots[kind]--
      if (isRepetition) this.#repetitions.take(now)
      this.#start(peer, state.urgent)
    }
    if (isCrowded) wakeMs = Math.min(wakeMs, this.#makePlace(now))
    if (wakeMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.#clock.after(wakeMs - now, () => this.#startDue())
    }
  }

  /** Lists devices whose time has come, in the order in which they are tried, and says when that of the next one does. */
  #dueAt(now: number): { due: DuePeer[]; nextMs: number } {
    let nextMs = Number.POSITIVE_INFINITY
    const due: DuePeer[] = []
    for (const peer of this.#peers.values()) {
      const { state } = peer.plan
      if (state.kind !== 'due') continue
      if (state.atMs <= now) due.push({ peer, state })
      else nextMs = Math.min(nextMs, state.atMs)
    }
    due.sort((one, other) => rank(one) - rank(other) || one.state.atMs - other.state.atMs)
    return { due, nextMs }
  }

  /** Aborts dials that have used up their time while others wait. Returns when the next one will have. */
  #makePlace(now: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const { plan, state } of this.#running) {
      if (state.dial.signal.aborted) continue
      const untilMs = state.startedAtMs + plan.patienceMs
      if (untilMs > now) nextMs = Math.min(nextMs, untilMs)
      else {
        plan.patienceMs = Math.min(longestPatienceMs, plan.patienceMs * 2)
        state.dial.abort(new SpacedockError('timed-out', 'The device did not answer while others waited.'))
      }
    }
    return nextMs
  }

  #start(peer: TriedPeer, urgent: boolean): void {
    const whole = new AbortController()
    const dial = new AbortController()
    addAbortListener(whole.signal, () => dial.abort(whole.signal.reason))
    const done = Promise.resolve()
    const state: Running = {
      kind: 'running',
      urgent,
      startedAtMs: this.#now(),
      again: 'no',
      whole,
      dial,
      done,
    }
    peer.plan.state = state
    state.done = this.#run(peer, state)
  }

  async #run(peer: TriedPeer, state: Running): Promise<void> {
    const { plan } = peer
    const attempt = { plan, state }
    this.#running.add(attempt)
    const next = await peer.attempt({ signal: state.whole.signal, dialSignal: state.dial.signal })
    this.#running.delete(attempt)
    if (state.again !== 'no') {
      plan.state = { kind: 'due', atMs: this.#now(), urgent: state.again === 'urgent' }
    } else {
      plan.state = { kind: 'idle' }
      if (next === 'retry') this.#planRetry(plan)
    }
    this.#startDue()
  }

  #planRetry(plan: AttemptPlan): void {
    if (plan.state.kind !== 'idle') return
    plan.state = { kind: 'due', atMs: this.#now() + plan.backoff.next(), urgent: false }
  }
}

interface DuePeer {
  peer: TriedPeer
  state: Due
}

function rank({ peer, state }: DuePeer): number {
  return state.urgent ? -1 : Math.min(peer.plan.backoff.failures, manyFailures)
}

/** Limit of concurrent attempts. Neither the urgent ones nor the others ever take all the slots. */
const maxAttempts = 16
const maxOfAKind = 12
const longestPatienceMs = 24_000
/** Rate of retries, which fewer than a hundred devices never reach: their waiting times alone keep below it. */
const repetitionPace = { everyMs: 250, inARow: 50 }
const manyFailures = 8
