import { SpacedockError } from '../errors.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Time of the simulation for the application under test: its timers and its clock. */
export interface SimulationClock {
  /** Milliseconds since the epoch, as the wall clock of a device whose clock was not set. */
  readonly now: () => number
  /** Starts a timer like the global one, in the simulation's time: only `pass` and `until` let it come to it. */
  readonly setTimeout: StartTimer
  /** Starts an interval like the global one, in the simulation's time. */
  readonly setInterval: StartTimer
  /** Stops a timer of this clock, like the global one. */
  readonly clearTimeout: ClearTimer
  /** Stops an interval of this clock, like the global one. */
  readonly clearInterval: ClearTimer
  /**
   * Puts these in the place of the global `setTimeout`, `setInterval`, `clearTimeout`, `clearInterval` and `Date`, for applications
   * that use those, until `restore`, or `close` of the simulation. Everything else that waits goes on in real time: `node:timers`,
   * `AbortSignal.timeout`, files, sockets. Throws `invalid-argument` when they are taken already.
   */
  readonly install: () => { restore(): void } & Disposable
}

/** Starts a timer, as the global `setTimeout` and `setInterval` do. Without a delay, at once in the simulation's time. */
export type StartTimer = <Arguments extends unknown[]>(
  callback: (...args: Arguments) => void,
  delayMs?: number,
  ...args: Arguments
) => SimulatedTimer
/** Stops a timer, as the global `clearTimeout` and `clearInterval` do; anything else is left alone. */
export type ClearTimer = (timer?: SimulatedTimer | number | string | null) => void

/** Timer that `setTimeout` returns, with as much of Node's as programs use. */
export class SimulatedTimer {
  /** Number unique in the simulation. */
  readonly id: number
  readonly #start: (timer: SimulatedTimer) => () => void
  #cancel: () => void

  /** @internal */
  constructor(id: number, start: (timer: SimulatedTimer) => () => void) {
    this.id = id
    this.#start = start
    this.#cancel = start(this)
  }

  /** Does nothing: a simulation keeps no process alive. */
  ref(): this {
    return this
  }

  /** Changes nothing, as `ref`. */
  unref(): this {
    return this
  }

  /** Always false: a simulation keeps no process alive. */
  hasRef(): boolean {
    return false
  }

  /** Starts it anew, with the same delay. */
  refresh(): this {
    this.#cancel()
    this.#cancel = this.#start(this)
    return this
  }

  /** Stops it, as `clearTimeout`. */
  close(): this {
    this.#cancel()
    return this
  }

  /** Id of the timer. */
  [Symbol.toPrimitive](): number {
    return this.id
  }

  /** Stops it, for `using`. */
  [Symbol.dispose](): void {
    this.#cancel()
  }
}

/** Makes a clock. An error of a callback is thrown by the `pass` or `until` that let its time come. @internal */
export function simulationClock(time: VirtualClock): SimulationClock & { close(): void } {
  const timers = new Map<number, SimulatedTimer>()
  let lastId = 0
  let installed: { restore(): void } | undefined

  function add(delayMs: number | undefined, run: (timer: SimulatedTimer) => void): SimulatedTimer {
    // A delay that is none is the shortest one, as with the global function.
    const afterMs = delayMs !== undefined && delayMs >= 1 && delayMs <= longestDelayMs ? delayMs : 1
    const timer = new SimulatedTimer(++lastId, (started) => {
      timers.set(started.id, started)
      const cancel = time.after(afterMs, () => run(started))
      return () => {
        cancel()
        timers.delete(started.id)
      }
    })
    return timer
  }

  const clock: SimulationClock = {
    now: () => time.wall(),
    setTimeout: (callback, delayMs, ...args) =>
      add(delayMs, (timer) => {
        timers.delete(timer.id)
        callback(...args)
      }),
    setInterval: (callback, delayMs, ...args) =>
      add(delayMs, (timer) => {
        timer.refresh()
        callback(...args)
      }),
    clearTimeout: clear,
    clearInterval: clear,
    install,
  }

  function clear(timer?: SimulatedTimer | number | string | null): void {
    if (timer === undefined || timer === null) return
    const found = timer instanceof SimulatedTimer ? timer : timers.get(Number(timer))
    found?.close()
  }

  function install(): { restore(): void } & Disposable {
    if (installed !== undefined)
      throw new SpacedockError('invalid-argument', 'The clock of this simulation is installed already.')
    const { setTimeout, setInterval, clearTimeout, clearInterval } = clock
    const restore = replaceGlobals({
      setTimeout,
      setInterval,
      clearTimeout,
      clearInterval,
      Date: dateWith(clock.now),
    })
    const made = {
      restore(): void {
        if (installed === made) installed = undefined
        restore()
      },
      [Symbol.dispose]: () => made.restore(),
    }
    installed = made
    return made
  }

  return {
    ...clock,
    close() {
      for (const timer of timers.values()) timer.close()
      installed?.restore()
    },
  }
}

/** Replaces globals; returns a function that restores those that are still in place. */
function replaceGlobals(replacements: Record<string, unknown>): () => void {
  const before = new Map(
    Object.keys(replacements).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]),
  )
  for (const [name, value] of Object.entries(replacements)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: true })
  }
  return () => {
    for (const [name, descriptor] of before) {
      const current: unknown = Reflect.get(globalThis, name)
      if (descriptor !== undefined && current === replacements[name])
        Object.defineProperty(globalThis, name, descriptor)
    }
    before.clear()
  }
}

function dateWith(now: () => number): DateConstructor {
  const RealDate = Date
  class SimulatedDate extends RealDate {
    constructor(...args: [] | [number | string | Date]) {
      if (args.length === 0) super(now())
      else super(...args)
    }
    static override now(): number {
      return now()
    }
  }
  return SimulatedDate as unknown as DateConstructor
}

const longestDelayMs = 2_147_483_647
