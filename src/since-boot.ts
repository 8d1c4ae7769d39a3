import { uptime } from 'node:os'

/** Clocks of which the time since the machine was started is made. */
export interface BootClocks {
  /** Running time in milliseconds; on some systems it stands still while the machine sleeps. */
  monotonic(): number
  /** Wall clock, in milliseconds. */
  wall(): number
  /** The system's answer in milliseconds, rounded down: to 10 ms, to a second on some systems. */
  uptime(): number
}

const systemClocks: BootClocks = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  uptime: () => uptime() * 1000,
}

/**
 * Milliseconds since the machine was started, also while it slept. The system is asked once a second: on Linux its answer is a file,
 * which takes as long as a row in the database, and a message needs the time ten times. In between running time is added. When
 * the machine has slept the wall clock is ahead of that, and the system is asked at once.
 */
export class SinceBoot {
  readonly #clocks: BootClocks
  #last: { uptimeMs: number; monotonicMs: number; wallMs: number } | null = null

  constructor(clocks: BootClocks = systemClocks) {
    this.#clocks = clocks
  }

  now(): number {
    const [monotonicMs, wallMs] = [this.#clocks.monotonic(), this.#clocks.wall()]
    const last = this.#last
    const passedMs = last === null ? 0 : monotonicMs - last.monotonicMs
    const expectedMs = last === null ? 0 : last.uptimeMs + passedMs
    const hasSlept = last === null || Math.abs(wallMs - last.wallMs - passedMs) > toleranceMs
    if (!hasSlept && passedMs < askedEveryMs) return expectedMs
    const saidMs = this.#clocks.uptime()
    // An answer that is only rounded down must not turn the time back.
    const isRounded = saidMs < expectedMs && expectedMs - saidMs <= resolutionMs
    const uptimeMs = isRounded ? expectedMs : saidMs
    this.#last = { uptimeMs, monotonicMs, wallMs }
    return uptimeMs
  }
}

const askedEveryMs = 1_000
/** Difference of the wall clock and running time up to which nothing has happened: one of them is in whole milliseconds. */
const toleranceMs = 20
const resolutionMs = 1_000
