import type { Device } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import { randomNumbers, seedFor } from './random-numbers.ts'
import { canSpeakTls } from '../network/transport/tls-handshake.ts'
import { deviceOptionNames, SimulatedDevice, type DeviceOptions } from './simulated-device.ts'
import type { SimulatedHost } from './simulated-host.ts'
import type { SimulatedLocalNetwork } from './simulated-local-network.ts'
import { SimulatedNetwork, type Attachment, type Faults, type Firewall } from './simulated-network.ts'
import { simulationClock, type SimulationClock } from './simulation-clock.ts'
import { turns, virtualClock } from './virtual-clock.ts'

/** Options of `createSimulation`. */
export interface SimulationOptions {
  /** Seed of everything that is left to chance: the same seed is the same run. @default 1 */
  seed?: number
  /** Faults of the network. @default a delay of 1 to 5 ms */
  faults?: Faults
  /** Whether there is a relay, over which devices that are blocked from each other talk. @default false */
  relay?: boolean
  /** Whether the devices speak TLS; without it sessions run over Noise, as with Electron. @default true */
  tls?: boolean
  /** Called with each log line of the devices, with the simulation's time in milliseconds. @default nowhere */
  log?: (line: SimulationLogLine) => void
}

/** A line that a simulated device has logged. */
export interface SimulationLogLine {
  /** Milliseconds since the simulation's beginning. */
  atMs: number
  /** Name of the device. */
  device: string
  /** Level, one of `LogLevel`. */
  level: string
  /** Name of the event, such as `session.started`. */
  event: string
  /** Details of the event. */
  fields: Record<string, unknown>
}

/** Devices in a network of their own, in which time passes only when it is told to. */
export interface Simulation extends AsyncDisposable {
  /** Seed as it was given. */
  readonly seed: number
  /** Returns numbers in [0, 1) that follow from the seed, for what the test itself leaves to chance. */
  random(): number
  /** Returns the milliseconds since the beginning. */
  now(): number
  /** Timers and a wall clock for the application under test. */
  readonly clock: SimulationClock
  /**
   * Calls back while time passes, after every so many milliseconds of it, with how many that were: to tick another library's fake
   * timers. The function returned stops it. `everyMs` says how late those may be. @default everyMs 10
   */
  onTime(listener: (passedMs: number) => void, options?: { everyMs?: number }): () => void
  /** Makes a device and starts it. Names are unique. */
  device(name: string, options?: DeviceOptions): Promise<SimulatedDevice>
  /** Pairs two with twelve words, as people do. Resolves when they are connected: with each as the other sees it. */
  pair(one: SimulatedDevice, other: SimulatedDevice): Promise<{ seenByOne: Device; seenByOther: Device }>
  /** Sets the faults from now on; replaces earlier ones. */
  faults(faults: Faults): void
  /**
   * Splits the network: devices of different groups do not reach each other; those in no group reach everybody. Replaces earlier
   * groups.
   */
  partition(...groups: SimulatedDevice[][]): void
  /** Puts a firewall on this device from now on, which lets in answers to its own requests, and multicast. @default 'drop' */
  firewall(device: SimulatedDevice, kind?: Firewall): void
  /** Blocks everything between the two, unless it goes over the relay: as by a firewall on the way. */
  block(one: SimulatedDevice, other: SimulatedDevice): void
  /** Ends all partitions and blocks. */
  heal(): void
  /** Lets so much time pass, in whole milliseconds. */
  pass(durationMs: number): Promise<void>
  /**
   * Lets time pass until the promise settles, or the function returns true. Rejects as the promise does, or with `timed-out`
   * when it has not come to it within `withinMs` of the simulation's time. @default 60_000
   */
  until<Result>(
    condition: Promise<Result> | (() => boolean),
    options?: { withinMs?: number },
  ): Promise<Result>
  /** Ends all devices. */
  close(): Promise<void>
}

/** Names of the options. @internal */
export const simulationOptionNames: OptionNames<SimulationOptions> = {
  seed: true,
  faults: true,
  relay: true,
  tls: true,
  log: true,
}

/** Makes a network without devices. Its `close` ends it. Throws `invalid-argument`. */
// oxlint-disable-next-line max-lines-per-function -- the composition root of a simulated network
export function createSimulation(options: SimulationOptions = {}): Simulation {
  checkOptions(options, simulationOptionNames, 'createSimulation')
  const { seed = 1, faults = {}, relay = false, tls = true, log = () => {} } = options
  const clock = virtualClock()
  const network = new SimulatedNetwork<SimulatedHost>(clock, randomNumbers(seedFor(seed, 'network')), relay)
  const stations = new Map<Attachment<SimulatedHost>, SimulatedLocalNetwork>()
  const devices = new Map<string, SimulatedDevice>()
  const applicationClock = simulationClock(clock)
  network.setFaults(faults)

  async function until<Result>(
    condition: Promise<Result> | (() => boolean),
    { withinMs = 60_000 }: { withinMs?: number } = {},
  ): Promise<Result> {
    const untilMs = clock.monotonic() + Math.ceil(withinMs)
    let isOver = typeof condition === 'function' ? condition : (): boolean => false
    if (typeof condition !== 'function') {
      let isSettled = false
      const settled = (): void => void (isSettled = true)
      condition.then(settled, settled)
      isOver = () => isSettled
    }
    for (;;) {
      await turns(turnsPerStep)
      if (isOver()) break
      if (clock.monotonic() >= untilMs) {
        throw new SpacedockError(
          'timed-out',
          `It did not come to it within ${withinMs} ms of the simulation’s time.`,
        )
      }
      clock.step(untilMs)
    }
    return (typeof condition === 'function' ? undefined : condition) as Promise<Result>
  }

  async function pass(durationMs: number): Promise<void> {
    const untilMs = clock.monotonic() + Math.ceil(durationMs)
    do await turns(turnsPerStep)
    while (clock.step(untilMs))
    await turns(turnsPerStep)
  }

  function onTime(
    listener: (passedMs: number) => void,
    { everyMs = 10 }: { everyMs?: number } = {},
  ): () => void {
    if (!(everyMs >= 1))
      throw new SpacedockError('invalid-argument', 'The interval everyMs has to be 1 or more.')
    let lastMs = clock.monotonic()
    let cancel: (() => void) | undefined
    const plan = (): void => {
      cancel = clock.after(everyMs, () => {
        plan()
        const passedMs = clock.monotonic() - lastMs
        lastMs += passedMs
        listener(passedMs)
      })
    }
    plan()
    return () => cancel?.()
  }

  async function device(name: string, options: DeviceOptions = {}): Promise<SimulatedDevice> {
    checkOptions(options, deviceOptionNames, 'device')
    if (devices.has(name))
      throw new SpacedockError('invalid-argument', `There is a device "${name}" already.`)
    const made = new SimulatedDevice(name, options, {
      network,
      stations,
      hasTls: tls,
      random: randomNumbers(seedFor(seed, `device ${name}`)),
      log: (level, event, fields = {}) =>
        log({ atMs: clock.monotonic(), device: name, level, event, fields }),
    })
    devices.set(name, made)
    // It is tried out once, in real time.
    await canSpeakTls()
    await until(made.restart())
    return made
  }

  async function pair(
    one: SimulatedDevice,
    other: SimulatedDevice,
  ): Promise<{ seenByOne: Device; seenByOther: Device }> {
    const invitation = await until(one.node.pair())
    const joining = other.node.join(invitation.words)
    const [seenByOne, seenByOther] = await until(Promise.all([invitation.paired, joining]), {
      withinMs: 300_000,
    })
    await until(() => seenByOne.state === 'connected' && seenByOther.state === 'connected')
    return { seenByOne, seenByOther }
  }

  async function close(): Promise<void> {
    const running = [...devices.values()].filter(({ isRunning }) => isRunning)
    for (const device of running) device.wake()
    network.partition([])
    try {
      await until(Promise.all(running.map((device) => device.stop())))
    } finally {
      applicationClock.close()
    }
    for (const device of devices.values()) device.discard()
    devices.clear()
    await turns()
  }

  return {
    seed,
    random: randomNumbers(seedFor(seed, 'test')),
    now: () => clock.monotonic(),
    clock: applicationClock,
    onTime,
    device,
    pair,
    faults: (next) => network.setFaults(next),
    partition: (...groups) =>
      network.partition(groups.map((group) => group.map(({ attachment }) => attachment))),
    firewall({ attachment }, kind = 'drop') {
      attachment.firewall = kind
    },
    block: (one, other) => network.block(one.attachment, other.attachment),
    heal: () => {
      network.partition([])
      network.unblock()
    },
    pass,
    until,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Number of turns for what one event leads to without waiting for the clock; the rest has its turn at the next one. */
const turnsPerStep = 4
