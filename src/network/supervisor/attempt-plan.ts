import { Backoff } from '../backoff.ts'

/** Time at which one device is tried next, and what its failures have led to. */
export class AttemptPlan {
  readonly backoff: Backoff
  /** Time that its dial may take while others wait for the slot. */
  patienceMs = firstPatienceMs
  state: { kind: 'idle' } | Due | Running = { kind: 'idle' }

  /** @param random - returns a random number in [0, 1) */
  constructor(random: () => number) {
    this.backoff = new Backoff(random)
  }
}

export interface AttemptSignals {
  /** Aborts when the attempt is not wanted any more. */
  signal: AbortSignal
  /** Aborts when dialling should start over or make room for others. */
  dialSignal: AbortSignal
}

export interface Due {
  kind: 'due'
  atMs: number
  /** Whether there is reason to believe that the device is there. */
  urgent: boolean
}

export interface Running {
  kind: 'running'
  urgent: boolean
  startedAtMs: number
  /** Kind of attempt that has to follow. */
  again: 'no' | 'routine' | 'urgent'
  whole: AbortController
  dial: AbortController
  done: Promise<void>
}

/** Patience of a first dial: time to begin with all addresses of most devices (`address-race.ts`); doubled each time. */
export const firstPatienceMs = 3_000
