import { addAbortListener } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Clock } from './api.ts'
import { SinceBoot } from './since-boot.ts'

const boot = new SinceBoot()

/** Clock of the computer. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  sinceBoot: () => boot.now(),
  bootId,
  after(delayMs, callback) {
    // Clamped because a longer delay than a timer can hold would fire at once.
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), 2_147_483_647))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** The kernel's name for this run of the machine; null where it has none that can be read (outside Linux). */
function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().slice(0, 64) || null
  } catch {
    return null
  }
}

/** Resolves after the delay, or as soon as the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const cancel = clock.after(delayMs, () => {
      listening[Symbol.dispose]()
      resolve()
    })
    const listening = addAbortListener(signal, () => {
      cancel()
      resolve()
    })
  })
}
