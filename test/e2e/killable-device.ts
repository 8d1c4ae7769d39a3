import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { DeviceInfo, DeviceState } from '../../src/api.ts'
import type { Event, MethodName, Params, Result } from '../../src/daemon/daemon-api.ts'
import { callDaemon, type CallOptions } from '../../src/daemon/client.ts'
import { localPlace } from '../device.ts'
import type { RunningProcess } from '../lab/process.ts'
import type { Arming, CrashPoint } from './crash-points.ts'

/**
 * A daemon in a process of its own, on the loopback interface, that is killed and started again. Its calls go straight to
 * its socket, without a process for each.
 */
export class KillableDevice implements AsyncDisposable {
  readonly name: string
  readonly dataDir: string
  #daemon: RunningProcess | undefined
  /** What its daemon had written when it was last armed. */
  #linesBefore = 0

  private constructor(name: string, dataDir: string) {
    this.name = name
    this.dataDir = dataDir
  }

  static async make(name: string): Promise<KillableDevice> {
    return new KillableDevice(name, await mkdtemp(join(tmpdir(), 'spacedock-kill-')))
  }

  /** Starts the command as everybody does. */
  async up(): Promise<void> {
    await this.#start(command)
  }

  /** Starts the command with the wrappers of crash-points.ts around it. */
  async upWithCrashPoints(): Promise<void> {
    await this.#start(crashingCommand)
  }

  async arm(arming: Arming): Promise<void> {
    const daemon = this.#running
    const before = armedCount(daemon)
    this.#linesBefore = daemon.lines().length
    daemon.write(`${JSON.stringify(arming)}\n`)
    await daemon.until(() => (armedCount(daemon) > before ? true : undefined), deadlineMs)
  }

  /** Resolves when it has come to the point; it ends, or stands still, there. */
  async reached(point: CrashPoint): Promise<void> {
    await this.#said(`reached ${point}`)
  }

  /** Waits for the end that `arm` asked for. */
  async died(): Promise<void> {
    const { signal } = await this.#running.exited
    assert.equal(signal, 'SIGKILL', `${this.name} ended by itself`)
    this.#daemon = undefined
  }

  async kill9(): Promise<void> {
    this.#running.kill('SIGKILL')
    await this.died()
  }

  /** As a machine that sleeps or hangs: what its kernel keeps open stays open. */
  suspend(): void {
    this.#running.kill('SIGSTOP')
  }

  /** After `suspend`. */
  wake(): void {
    this.#running.kill('SIGCONT')
  }

  /** After `stop`. It may be about to stand still only, and a signal that comes before is lost: so they are repeated. */
  async resume(point: CrashPoint): Promise<void> {
    const daemon = this.#running
    const timer = setInterval(() => daemon.kill('SIGCONT'), 20)
    try {
      await this.#said(`passed ${point}`)
    } finally {
      clearInterval(timer)
    }
  }

  call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions<M> = {}): Promise<Result<M>> {
    return callDaemon(this.dataDir, method, params, options)
  }

  async events<M extends MethodName>(method: M, params: Params<M>): Promise<Event<M>[]> {
    const events: Event<M>[] = []
    await this.call(method, params, { onEvent: (event) => void events.push(event) })
    return events
  }

  /** What the list of devices shows of a peer; undefined when it is not in it. */
  async shown(peerId: string): Promise<DeviceInfo | undefined> {
    const { devices } = await this.call('devices', {})
    return devices.find((device) => device.peerId === peerId)
  }

  /** The state that the list of devices shows of a peer; null when it is not in it. */
  async stateOf(peerId: string): Promise<string | null> {
    return (await this.shown(peerId))?.state ?? null
  }

  async untilConnected(peerId: string): Promise<DeviceInfo> {
    return this.untilState(peerId, 'connected')
  }

  async untilState(peerId: string, state: DeviceState, withinMs = deadlineMs): Promise<DeviceInfo> {
    const giveUpAt = performance.now() + withinMs
    for (;;) {
      const device = await this.shown(peerId)
      if (device?.state === state) return device
      const rows = JSON.stringify(this.trustRowsOf(peerId))
      const log = this.#running.lines('stderr').slice(-20).join('\n')
      const seen = `${this.name} shows ${device?.state}, not ${state}, its rows are ${rows}\n${log}`
      assert.ok(performance.now() < giveUpAt, seen)
      await wait(20)
    }
  }

  /** Until nothing waits in its outbox. */
  async untilDelivered(withinMs = 180_000): Promise<void> {
    const giveUpAt = performance.now() + withinMs
    for (;;) {
      const waiting = await this.events('outbox', {})
      if (waiting.length === 0) return
      assert.ok(performance.now() < giveUpAt, `${waiting.length} messages are stuck`)
      await wait(20)
    }
  }

  /** The first line that fits in the log of this start, as soon as it is there. */
  async logged(fits: (line: string) => boolean, withinMs = deadlineMs): Promise<string> {
    return await this.#running.line(fits, { stream: 'stderr', deadlineMs: withinMs })
  }

  /** The states of the rows about a peer, as they are in the file, also while the daemon runs. */
  trustRowsOf(peerId: string): string[] {
    const database = new DatabaseSync(join(this.dataDir, 'spacedock.db'), { readOnly: true })
    try {
      const rows = database.prepare('SELECT state FROM trust WHERE peer_id = ? ORDER BY state').all(peerId)
      return rows.map((row) => String(row['state']))
    } finally {
      database.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon !== undefined) await this.kill9()
    await rm(this.dataDir, { recursive: true, force: true })
  }

  async #said(text: string): Promise<void> {
    const daemon = this.#running
    const isSaid = (): boolean => daemon.lines().includes(text, this.#linesBefore)
    await daemon.until(() => (isSaid() ? true : undefined), deadlineMs)
  }

  get #running(): RunningProcess {
    assert.ok(this.#daemon !== undefined, `${this.name} is not up`)
    return this.#daemon
  }

  async #start(program: readonly string[]): Promise<void> {
    const interfaces = (place.interfaces ?? []).flatMap((name) => ['--interface', name])
    const args = ['--dir', this.dataDir, '--json', 'up', '--foreground', '--name', this.name, ...interfaces]
    const daemon = place.spawn([...program, ...args], { env: { SPACEDOCK_DIR: undefined } })
    this.#daemon = daemon
    await daemon.line((line) => line.includes('"daemon.ready"'), { stream: 'stderr', deadlineMs: 60_000 })
  }
}

/** Devices with crash points that are used again and again, each by one test at a time; one whose test failed is not. */
export class DevicePool {
  readonly #name: string
  readonly #all: KillableDevice[] = []
  readonly #free: KillableDevice[] = []

  constructor(name: string) {
    this.#name = name
  }

  async take(): Promise<KillableDevice> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    const made = await KillableDevice.make(this.#name)
    this.#all.push(made)
    await made.upWithCrashPoints()
    return made
  }

  giveBack(device: KillableDevice): void {
    this.#free.push(device)
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((device) => device[Symbol.asyncDispose]()))
  }
}

const deadlineMs = 60_000
const place = localPlace()
const command = [process.execPath, fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))]
const crashingCommand = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('crashing-device.ts', import.meta.url)),
]

function armedCount(daemon: RunningProcess): number {
  return daemon.lines().filter((line) => line === 'armed').length
}
