import type { Clock } from '../../src/index.ts'

/** The machine's time, until an attack moves it. */
export class SteeredClock implements Clock {
  #monotonicOffset = 0
  #wallOffset = 0
  readonly #clock = new Set<{ atMs: number; run: () => void; cancel: () => void }>()

  monotonic(): number {
    return performance.now() + this.#monotonicOffset
  }

  wall(): number {
    return Date.now() + this.#wallOffset
  }

  after(delayMs: number, callback: () => void): () => void {
    const run = (): void => {
      timer.cancel()
      callback()
    }
    const real = setTimeout(run, Math.min(Math.max(0, delayMs), 2_147_483_647))
    real.unref()
    const timer = {
      atMs: this.monotonic() + delayMs,
      run,
      cancel: () => {
        clearTimeout(real)
        this.#clock.delete(timer)
      },
    }
    this.#clock.add(timer)
    return timer.cancel
  }

  /** What people read jumps; nothing else does. */
  jump(byMs: number): void {
    this.#wallOffset += byMs
  }

  /** Time passes, on both clocks. */
  pass(byMs: number): void {
    this.#monotonicOffset += byMs
    this.#wallOffset += byMs
    const due = [...this.#clock].filter(({ atMs }) => atMs <= this.monotonic())
    for (const timer of due.sort((a, b) => a.atMs - b.atMs)) timer.run()
  }
}

export const dayMs = 24 * 3_600_000
