import type { Clock } from '../api.ts'

/**
 * The clock of one simulated process, driven by the simulation's. While its computer sleeps it stands still, and its timers
 * with it; the wall clock and the time since boot go on.
 */
export class DeviceClock implements Clock {
  readonly #time: Clock
  readonly #wallOffsetMs: () => number
  readonly #boot: () => Boot
  readonly #timers = new Set<Timer>()
  #startedAtMs: number
  #sleepingSinceMs: number | null = null
  #isStopped = false

  constructor(time: Clock, { wallOffsetMs, boot }: { wallOffsetMs: () => number; boot: () => Boot }) {
    this.#time = time
    this.#wallOffsetMs = wallOffsetMs
    this.#boot = boot
    this.#startedAtMs = time.monotonic()
  }

  monotonic(): number {
    return (this.#sleepingSinceMs ?? this.#time.monotonic()) - this.#startedAtMs
  }

  wall(): number {
    return this.#time.wall() + this.#wallOffsetMs()
  }

  sinceBoot(): number {
    return this.#time.monotonic() - this.#boot().atMs
  }

  bootId(): string {
    return this.#boot().id
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.monotonic() + Math.max(0, delayMs), callback, cancel: () => {} }
    if (this.#isStopped) return () => {}
    this.#timers.add(timer)
    if (this.#sleepingSinceMs === null) this.#start(timer)
    return () => {
      timer.cancel()
      this.#timers.delete(timer)
    }
  }

  sleep(): void {
    if (this.#sleepingSinceMs !== null) return
    this.#sleepingSinceMs = this.#time.monotonic()
    for (const timer of this.#timers) timer.cancel()
  }

  wake(): void {
    if (this.#sleepingSinceMs === null) return
    this.#startedAtMs += this.#time.monotonic() - this.#sleepingSinceMs
    this.#sleepingSinceMs = null
    for (const timer of this.#timers) this.#start(timer)
  }

  /** Stops with the process: nothing falls due any more. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #start(timer: Timer): void {
    timer.cancel = this.#time.after(timer.atMs - this.monotonic(), () => {
      this.#timers.delete(timer)
      timer.callback()
    })
  }
}

/** Start of the simulated machine. */
export interface Boot {
  id: string
  atMs: number
}

interface Timer {
  atMs: number
  callback: () => void
  cancel: () => void
}
