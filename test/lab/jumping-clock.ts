import { presenceEpochMs } from '../../src/pairing/presence-keys.ts'

/**
 * Loaded with --import into a daemon: its wall clock is an epoch of presence slow, and jumps over the end of the epoch at SIGUSR2, as if the
 * machine had slept until then. Timers do not notice. It is never ahead of everybody else's clock, which no relay could stand.
 */
const RealDate = Date
let offsetMs = -presenceEpochMs

class JumpingDate extends RealDate {
  constructor(...args: unknown[]) {
    super(...((args.length === 0 ? [JumpingDate.now()] : args) as [number]))
  }

  static override now(): number {
    return RealDate.now() + offsetMs
  }
}

globalThis.Date = JumpingDate as DateConstructor
process.on('SIGUSR2', () => {
  offsetMs += presenceEpochMs - (Date.now() % presenceEpochMs)
})
