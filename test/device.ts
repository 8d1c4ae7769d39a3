import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RunningCommand, parseLines } from './command-output.ts'
import type { CommandResult, OutputLine } from './command-output.ts'
import { RunningProcess, runProcess } from './lab/process.ts'
import type { Place } from './lab/process.ts'

export interface DeviceOptions {
  /** What it is called on other devices' screens. */
  name: string
  env?: Record<string, string | undefined>
  /** Options for each start of the daemon with `up`. */
  args?: readonly string[]
  /** What is in `config.json` from the start. */
  config?: object
}

/** A line of a daemon's log. */
export interface LogEvent {
  /** Unix time. */
  atMs: number
  event: string
  [field: string]: unknown
}

/** A device of its own, not started yet: the `spacedock` command with a fresh data directory, on a host of a lab or on this machine. */
export async function device(place: Place, options: DeviceOptions): Promise<TestDevice> {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-'))
  // A command may start the daemon before `up` has said it: not even then may it leave the place.
  const kept = place.interfaces === undefined ? {} : { interfaces: place.interfaces }
  const config = JSON.stringify({ ...kept, ...options.config })
  if (config !== '{}') await writeFile(join(dataDir, 'config.json'), config)
  return new TestDevice(place, dataDir, options)
}

/** Plain processes on this machine, whose daemons stay on the loopback interface. */
export function localPlace(): Place {
  return {
    name: 'this machine',
    interfaces: [process.platform === 'darwin' ? 'lo0' : 'lo'],
    run: runProcess,
    spawn: (command, options) => new RunningProcess(command, options),
  }
}

/** Pairs two devices that are up, without a question to anybody. */
export async function pairDevices(
  initiator: TestDevice,
  joiner: TestDevice,
  options: { joinArgs?: readonly string[]; deadlineMs?: number } = {},
): Promise<void> {
  const { joinArgs = [], deadlineMs = 60_000 } = options
  const pairing = initiator.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code', { deadlineMs })
  const joined = await joiner.cli(['join', '-', '--yes', ...joinArgs], { input: `${words}\n`, deadlineMs })
  assert.equal(joined.code, 0, joined.stderr)
  assert.equal(joined.lines.at(-1)?.device?.name, initiator.name)
  const paired = await pairing.waitForEvent('paired', { deadlineMs })
  assert.equal(paired.device?.name, joiner.name)
  assert.equal((await pairing.finished(deadlineMs)).code, 0)
}

export class TestDevice {
  readonly place: Place
  readonly name: string
  readonly dataDir: string
  readonly #options: DeviceOptions
  readonly #commands = new Set<RunningCommand>()
  #daemon: RunningProcess | undefined

  constructor(place: Place, dataDir: string, options: DeviceOptions) {
    this.place = place
    this.name = options.name
    this.dataDir = dataDir
    this.#options = options
  }

  /** Runs one command to its end. `lines` is what it printed. */
  async cli(
    args: readonly string[],
    options: { input?: string; deadlineMs?: number } = {},
  ): Promise<CommandResult> {
    const { deadlineMs = 60_000, ...rest } = options
    const command = this.#command(args)
    const finished = await this.place.run(command, { ...rest, deadlineMs, env: this.#env() })
    return { code: finished.code, lines: parseLines(finished), stderr: finished.stderr }
  }

  /** What a person reads who runs a command. */
  async screen(args: readonly string[]): Promise<string> {
    const command = [process.execPath, entryPoint, '--dir', this.dataDir, ...args]
    const { code, stdout, stderr } = await this.place.run(command, { env: this.#env() })
    assert.equal(code, 0, stderr)
    return stdout
  }

  /** Starts a command that goes on for a while; the device's end kills it. */
  spawnCli(args: readonly string[]): RunningCommand {
    const command = new RunningCommand(this.place.spawn(this.#command(args), { env: this.#env() }))
    this.#commands.add(command)
    return command
  }

  /** Starts the daemon in the foreground; resolves when it answers. */
  async up(options: { args?: readonly string[]; deadlineMs?: number } = {}): Promise<void> {
    const { args: more = [], deadlineMs = 60_000 } = options
    const interfaces = (this.place.interfaces ?? []).flatMap((name) => ['--interface', name])
    const given = [...interfaces, ...(this.#options.args ?? []), ...more]
    const args = ['up', '--foreground', '--name', this.name, ...given]
    const daemon = this.place.spawn(this.#command(args), { env: this.#env() })
    this.#daemon = daemon
    await daemon.line((line) => line.includes('"daemon.ready"'), { stream: 'stderr', deadlineMs })
  }

  /** Stops the daemon with the command, and waits for its end. */
  async down(): Promise<void> {
    const { code, stderr } = await this.cli(['down'])
    assert.equal(code, 0, stderr)
    await this.#daemon?.finished()
    this.#daemon = undefined
  }

  /** Kills the daemon where it stands, however it was started. */
  async kill9(): Promise<void> {
    if (this.#daemon === undefined) {
      const { pid } = await this.status()
      assert.ok(pid !== undefined)
      process.kill(pid, 'SIGKILL')
      while ((await this.cli(['status'])).code === 0) await wait(50)
    } else {
      this.#daemon.kill('SIGKILL')
      await this.#daemon.exited
      this.#daemon = undefined
    }
  }

  async status(): Promise<OutputLine> {
    const { code, lines, stderr } = await this.cli(['status'])
    assert.equal(code, 0, stderr)
    return lines[0] ?? {}
  }

  async devices(): Promise<OutputLine[]> {
    const { code, lines, stderr } = await this.cli(['devices'])
    assert.equal(code, 0, stderr)
    return lines
  }

  /** Waits until another device, by name, is in this state for this one, at an address that starts like `at`, or one of these. */
  async waitForState(
    name: string,
    state: string,
    options: { deadlineMs?: number; at?: string | readonly string[] } = {},
  ): Promise<OutputLine> {
    const { deadlineMs = 60_000, at = '' } = options
    const deadline = performance.now() + deadlineMs
    const isThere = (address: string): boolean => [at].flat().some((start) => address.startsWith(start))
    for (;;) {
      const devices = await this.devices()
      const found = devices.find(
        (one) => one.name === name && one.state === state && isThere(one.address ?? ''),
      )
      if (found !== undefined) return found
      const seen = JSON.stringify(devices)
      assert.ok(
        performance.now() < deadline,
        `${name} is not ${state} ${String(at)}for ${this.name}: ${seen}`,
      )
      await wait(100)
    }
  }

  /** Waits until the daemon that `up` started has logged this event. */
  async logged(event: string, options: { deadlineMs?: number } = {}): Promise<void> {
    assert.ok(this.#daemon !== undefined, `${this.name} was not started with up()`)
    await this.#daemon.line((line) => line.includes(`"${event}"`), { ...options, stream: 'stderr' })
  }

  /** The first event that the daemon that `up` started has logged, or logs, and that fits. */
  async event(fits: (event: LogEvent) => boolean, options: { deadlineMs?: number } = {}): Promise<LogEvent> {
    assert.ok(this.#daemon !== undefined, `${this.name} was not started with up()`)
    const found = await this.#daemon.line((line) => line.startsWith('{') && fits(parseEvent(line)), {
      ...options,
      stream: 'stderr',
    })
    return parseEvent(found)
  }

  /** All of these that the daemon has logged so far. */
  events(name: string): LogEvent[] {
    const lines = this.#daemon?.lines('stderr') ?? []
    return lines.filter((line) => line.startsWith('{') && line.includes(`"${name}"`)).map(parseEvent)
  }

  /** The daemon's log so far, when `up` started it. */
  get log(): string {
    return this.#daemon?.stderr ?? ''
  }

  /** Ends all its processes and deletes its data. */
  async close(): Promise<void> {
    await Promise.all([...this.#commands].map(async (command) => await command.kill()))
    try {
      await this.#daemon?.stop()
      // A command may have started a daemon in the background.
      const { code, stderr } = await this.cli(['down'])
      assert.ok(code === 0 || code === 3, `${this.name} cannot be stopped: ${stderr}`)
    } finally {
      await rm(this.dataDir, { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #command(args: readonly string[]): string[] {
    return [process.execPath, entryPoint, '--dir', this.dataDir, '--json', ...args]
  }

  #env(): Record<string, string | undefined> {
    return { SPACEDOCK_DIR: undefined, ...this.#options.env }
  }
}

function parseEvent(line: string): LogEvent {
  const fields = JSON.parse(line) as { time: string; event: string }
  return { ...fields, atMs: Date.parse(fields.time) }
}

const entryPoint = fileURLToPath(new URL('../bin/spacedock.js', import.meta.url))
