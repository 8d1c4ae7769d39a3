import type { Log, NodeOptions, SpacedockNode } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { OptionNames } from '../known-options.ts'
import { startNode } from '../node.ts'
import type { Platform } from '../node/platform.ts'
import { StoredPairKeys } from '../node/pair-keys.ts'
import { boxLimits } from '../node/message-limits.ts'
import { memoryDisk, type MemoryDisk } from '../store/memory-disk.ts'
import { DeviceClock, type Boot } from './device-clock.ts'
import { randomBytesOf } from './random-numbers.ts'
import { SimulatedHost } from './simulated-host.ts'
import { SimulatedLocalNetwork } from './simulated-local-network.ts'
import type { Attachment, SimulatedNetwork } from './simulated-network.ts'

/** Options of a simulated device. */
export interface DeviceOptions {
  /** Registers what the application serves and listens to, at every start, as `setUp` of `createNode` does. */
  setUp?: (node: SpacedockNode) => void
  /** Limits as those of `createNode`. */
  messages?: NodeOptions['messages']
}

/** @internal */
export const deviceOptionNames: OptionNames<DeviceOptions> = { setUp: true, messages: true }

/** @internal */
export interface DeviceSurroundings {
  network: SimulatedNetwork<SimulatedHost>
  stations: Map<Attachment<SimulatedHost>, SimulatedLocalNetwork>
  /** Whether devices speak TLS. */
  hasTls: boolean
  /** Random numbers of this device alone. */
  random: () => number
  log: Log
}

/** A device whose computer, disk and network are simulated; all the rest of it is real. */
export class SimulatedDevice {
  /** Name in the simulation, and the one that it tells others. */
  readonly name: string
  /** @internal */
  readonly attachment: Attachment<SimulatedHost>
  readonly #options: DeviceOptions
  readonly #surroundings: DeviceSurroundings
  readonly #disk: MemoryDisk
  readonly #networkListeners = new Set<() => void>()
  #wallOffsetMs = 0
  #boot: Boot
  #process: Process | undefined
  readonly #crashed: SpacedockNode[] = []

  /** @internal */
  constructor(name: string, options: DeviceOptions, surroundings: DeviceSurroundings) {
    this.name = name
    this.#options = options
    this.#surroundings = surroundings
    this.attachment = surroundings.network.attach(name)
    this.#boot = { id: `${name} 0`, atMs: surroundings.network.clock.monotonic() }
    this.#disk = memoryDisk(randomBytesOf(surroundings.random)(32))
  }

  /** Node of the process that runs now. Throws `closed` while none does. */
  get node(): SpacedockNode {
    const node = this.#process?.node
    if (node === undefined)
      throw new SpacedockError('closed', `The simulated device "${this.name}" is not running.`)
    return node
  }

  /** Whether it has a process: it was not stopped, and has not crashed. */
  get isRunning(): boolean {
    return this.#process !== undefined
  }

  /** Starts a new process after a crash or a stop, on the same disk. Does nothing more when that crashes before it is up. */
  async restart(): Promise<void> {
    if (this.isRunning)
      throw new SpacedockError('invalid-argument', `The device "${this.name}" runs already.`)
    const { network, random, log } = this.#surroundings
    const clock = new DeviceClock(network.clock, {
      wallOffsetMs: () => this.#wallOffsetMs,
      boot: () => this.#boot,
    })
    if (this.attachment.isAsleep) clock.sleep()
    const running: Process = { clock, node: undefined, host: undefined, localNetwork: undefined }
    this.#process = running
    const isAlive = (): boolean => this.#process === running
    try {
      const node = await startNode(
        {
          dataDir: this.name,
          name: this.name,
          log: (...line) => void (isAlive() && log(...line)),
          setUp: (node) => {
            if (!isAlive()) return
            running.node = node
            this.#options.setUp?.(node)
          },
        },
        this.#platform(running, randomBytesOf(random)),
      )
      if (isAlive()) running.node = node
    } catch (error) {
      if (!isAlive()) return
      this.crash()
      throw error
    }
  }

  /** Ends the process in order: the others are told. */
  async stop(): Promise<void> {
    const running = this.#process
    this.#disk.watch(null)
    await running?.node?.close()
    running?.clock.stop()
    if (this.#process === running) this.#process = undefined
  }

  /** Crashes as by kill -9: unwritten data is lost, and nothing more is done or said. */
  crash(): void {
    const running = this.#process
    this.#process = undefined
    if (running?.node !== undefined) this.#crashed.push(running.node)
    this.#disk.watch(null)
    this.#disk.cutOff()
    running?.clock.stop()
    running?.localNetwork?.vanish()
    running?.host?.vanish()
    this.#networkListeners.clear()
  }

  /** Fills its disk, so that nothing can be written, or gives the space back. */
  fillDisk(isFull: boolean): void {
    this.#disk.fill(isFull)
  }

  /** Crashes as by a power cut: the next start of the program is one of the machine, too, whose clocks but one begin anew. */
  cutPower(): void {
    this.crash()
    const atMs = this.#surroundings.network.clock.monotonic()
    this.#boot = { id: `${this.name} ${atMs}`, atMs }
  }

  /**
   * Crashes in the middle of something that it writes to its disk: the one after `writes` others from now on. `moment` says
   * whether that one is still kept. Resolves when it has happened; forgotten when it crashes otherwise.
   */
  crashAtWrite({ writes = 0, moment }: { writes?: number; moment: 'before' | 'after' }): Promise<void> {
    return new Promise((resolve) => {
      let left = writes
      this.#disk.watch((current) => {
        if (current !== moment || left-- > 0) return
        this.crash()
        resolve()
      })
    })
  }

  /** Whether `crashAtWrite` still waits for its moment. */
  get hasPlannedCrash(): boolean {
    return this.#disk.isWatched
  }

  /**
   * Gives back the memory of its disk, and of processes that crashed, at the end of the simulation when it does not run.
   * @internal
   */
  discard(): void {
    for (const node of this.#crashed) node.close().catch(() => {})
    this.#disk.close()
  }

  /** Closes the lid: it hears and says nothing, and its clock stands still; connections are not closed. */
  sleep(): void {
    this.attachment.isAsleep = true
    this.#process?.clock.sleep()
  }

  /** Opens the lid. */
  wake(): void {
    this.attachment.isAsleep = false
    this.#process?.clock.wake()
  }

  /** Takes it to another place in the network: it has another address, and its connections lead nowhere. */
  move(): void {
    this.#surroundings.network.move(this.attachment)
    for (const listener of this.#networkListeners) listener()
  }

  /** Sets its wall clock forward, or back when negative. */
  setClock(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  #platform(running: Process, random: (length: number) => Uint8Array): Platform {
    const { network, stations } = this.#surroundings
    const { attachment } = this
    const { clock } = running
    return {
      clock,
      random,
      openStore: () => this.#disk.open({ clock, ...boxLimits(this.#options.messages) }),
      createHost: async (store) =>
        (running.host = new SimulatedHost({
          network,
          attachment,
          peerId: store.identity.peerId,
          pairKeys: this.#surroundings.hasTls ? new StoredPairKeys(store) : null,
          clock,
        })),
      localNetwork: (listener, options) =>
        (running.localNetwork = new SimulatedLocalNetwork(listener, {
          ...options,
          network,
          attachment,
          stations,
          clock,
          random: this.#surroundings.random,
        })),
      watchNetwork: (onChange) => {
        this.#networkListeners.add(onChange)
        return () => this.#networkListeners.delete(onChange)
      },
    }
  }
}

interface Process {
  readonly clock: DeviceClock
  node: SpacedockNode | undefined
  host: SimulatedHost | undefined
  localNetwork: SimulatedLocalNetwork | undefined
}
