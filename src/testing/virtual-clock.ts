import type { Clock } from '../api.ts'

export interface VirtualClock extends Clock {
  /** Lets time pass, running what falls due in order and letting the event loop turn after each. */
  pass(durationMs: number): Promise<void>
  /** Lets time pass for code that waits for nothing but the clock: without a turn of the event loop. */
  advance(durationMs: number): void
  /**
   * Goes to what falls due next and runs it, when that is before `untilMs`; otherwise goes there. Returns whether anything
   * was run.
   */
  step(untilMs: number): boolean
  /** Lets the wall clock jump, as during sleep, without any timer falling due. */
  sleep(durationMs: number): void
  pending(): number
}

/** Makes a clock that stands still until a test lets time pass, and goes by whole milliseconds: delays are rounded up. */
export function virtualClock(): VirtualClock {
  let now = 0
  let wallOffset = 1_700_000_000_000
  let stepsAtOnce = 0
  const timers = new Set<{ at: number; run: () => void }>()

  /** Runs the first of the timers that are due first: a set keeps the order in which they were set. */
  function step(until: number): boolean {
    let next: { at: number; run: () => void } | undefined
    for (const timer of timers) if (timer.at <= until && timer.at < (next?.at ?? Infinity)) next = timer
    if (next === undefined) {
      now = Math.max(now, until)
      return false
    }
    timers.delete(next)
    stepsAtOnce = next.at === now ? stepsAtOnce + 1 : 0
    if (stepsAtOnce > maxStepsAtOnce) throw new Error(`the virtual clock stands still at ${now} ms`)
    now = next.at
    next.run()
    return true
  }

  return {
    monotonic: () => now,
    wall: () => now + wallOffset,
    after(delayMs, run) {
      // Whole milliseconds: sums and differences of anything else are not quite what they should be.
      const timer = { at: now + Math.max(0, Math.ceil(delayMs)), run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async pass(durationMs) {
      const until = now + Math.ceil(durationMs)
      await turns()
      while (step(until)) await turns()
      await turns()
    },
    advance(durationMs) {
      const until = now + Math.ceil(durationMs)
      while (step(until));
    },
    step,
    sleep(durationMs) {
      wallOffset += durationMs
    },
    pending: () => timers.size,
  }
}

/** Limit of timers at one moment: with ones set again and again, no test would ever end. */
const maxStepsAtOnce = 100_000

/** Original function: a test may fake it, and then nobody would turn the event loop any more. */
const realImmediate = setImmediate

/** Waits several turns of the event loop: enough for what runs on promises and immediates alone. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => realImmediate(resolve))
}
