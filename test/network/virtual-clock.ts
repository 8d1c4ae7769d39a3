import type { Clock } from '../../src/api.ts'
export interface VirtualClock extends Clock {
  /** Lets time pass, running what falls due in order and letting the event loop turn after each. */
  pass(durationMs: number): Promise<void>
  /** Lets the wall clock jump, as during sleep, without any timer falling due. */
  sleep(durationMs: number): void
  pending(): number
}

/** Time that stands still until a test lets it pass. */
export function virtualClock(): VirtualClock {
  let now = 0
  let wallOffset = 1_700_000_000_000
  let nextId = 0
  const clock = new Map<number, { at: number; run: () => void }>()

  return {
    monotonic: () => now,
    wall: () => now + wallOffset,
    after(delayMs, run) {
      const id = nextId++
      clock.set(id, { at: now + Math.max(0, delayMs), run })
      return () => clock.delete(id)
    },
    async pass(durationMs) {
      const until = now + durationMs
      await turns()
      for (;;) {
        const due = [...clock.entries()]
          .filter(([, timer]) => timer.at <= until)
          .sort(([a, x], [b, y]) => x.at - y.at || a - b)[0]
        if (due === undefined) break
        const [id, timer] = due
        clock.delete(id)
        now = timer.at
        timer.run()
        await turns()
      }
      now = until
      await turns()
    },
    sleep(durationMs) {
      wallOffset += durationMs
    },
    pending: () => clock.size,
  }
}

/** Several turns of the event loop: enough for what runs on promises and immediates alone. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
