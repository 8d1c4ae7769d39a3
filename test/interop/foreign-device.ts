import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Place, RunningProcess } from '../lab/process.ts'
import type { ForeignProgram } from './foreign-program.ts'

/** What a foreign program says: the fields of interop/README.md. */
export interface Line {
  id?: number
  event?: string
  result?: Reply
  error?: Failure
  peerId?: string
  name?: string
  digits?: string
  reason?: string
  role?: string
  path?: string
  kind?: string
  topic?: string
  body?: unknown
  addresses?: string[]
}

export interface Reply {
  words?: string
  uri?: string
  devices?: { peerId: string; name: string; state: string }[]
  path?: string
  body?: unknown
  sent?: number
  received?: number
  intact?: boolean
  versions?: number[]
  to?: string[]
  ms?: number
  agent?: string
  protocols?: string[]
  answers?: string[]
}

export interface Failure {
  code: string
  message: string
  versions?: number[]
  declared?: { code: string; data: unknown }
}

export interface ForeignOptions {
  name: string
  /** IP addresses to listen on. @default 127.0.0.1 */
  listen?: readonly string[]
  mdns?: boolean
  /** Addresses of rendezvous nodes. */
  rendezvous?: readonly string[]
}

/** A running device that was written in another language, driven by lines of JSON. */
export class ForeignDevice implements AsyncDisposable {
  readonly name: string
  readonly #program: ForeignProgram
  readonly #place: Place
  readonly #dataDir: string
  readonly #args: readonly string[]
  #process: RunningProcess | undefined
  #lastId = 0
  /** Positions of the events that a test has waited for already. */
  readonly #taken = new Set<number>()
  #ready: Line = {}

  private constructor(
    program: ForeignProgram,
    place: Place,
    name: string,
    dataDir: string,
    args: readonly string[],
  ) {
    this.#program = program
    this.#place = place
    this.name = name
    this.#dataDir = dataDir
    this.#args = args
  }

  /** Resolves when it is ready. */
  static async start(program: ForeignProgram, place: Place, options: ForeignOptions): Promise<ForeignDevice> {
    const { name, listen = ['127.0.0.1'], mdns = false, rendezvous = [] } = options
    return await ForeignDevice.#make(program, place, name, [
      '--name',
      name,
      ...listen.flatMap((ip) => ['--listen', ip]),
      ...(mdns ? ['--mdns'] : []),
      ...rendezvous.flatMap((address) => ['--rendezvous', address]),
    ])
  }

  /** The same program as a rendezvous node. */
  static async rendezvousNode(
    program: ForeignProgram,
    place: Place,
    listen: readonly string[] = ['127.0.0.1'],
  ): Promise<ForeignDevice> {
    const args = ['--rendezvous-node', ...listen.flatMap((ip) => ['--listen', ip])]
    return await ForeignDevice.#make(program, place, 'rendezvous node', args)
  }

  static async #make(
    program: ForeignProgram,
    place: Place,
    name: string,
    args: readonly string[],
  ): Promise<ForeignDevice> {
    const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-foreign-'))
    const device = new ForeignDevice(program, place, name, dataDir, args)
    await device.up()
    return device
  }

  get peerId(): string {
    return this.#ready.peerId ?? assert.fail(`${this.name} has said no peer id`)
  }

  /** Where it listens; each address ends in its peer id. */
  get addresses(): string[] {
    return this.#ready.addresses ?? []
  }

  /** Starts it, again after `down`. */
  async up(): Promise<void> {
    const command = [...this.#program.command, '--dir', this.#dataDir, ...this.#args]
    this.#process = this.#place.spawn(command)
    this.#taken.clear()
    this.#ready = await this.event('ready')
  }

  /** Ends it in order. */
  async down(): Promise<void> {
    this.#running.end()
    const { code, stderr } = await this.#running.finished()
    assert.equal(code, 0, stderr)
    this.#process = undefined
  }

  /** The result of a command; rejects when it fails. */
  async call(what: string, fields: Record<string, unknown> = {}, deadlineMs?: number): Promise<Reply> {
    const { result, error } = await this.#answer(what, fields, deadlineMs)
    assert.equal(error, undefined, `${this.name}: ${what}: ${JSON.stringify(error)}`)
    return result ?? {}
  }

  /** How a command fails; rejects when it does not. */
  async fails(what: string, fields: Record<string, unknown> = {}, deadlineMs?: number): Promise<Failure> {
    const { result, error } = await this.#answer(what, fields, deadlineMs)
    return error ?? assert.fail(`${this.name}: ${what} did not fail: ${JSON.stringify(result)}`)
  }

  /** The first event of this name, since the start, that fits and that nobody has waited for before. */
  async event(
    name: string,
    matches: (line: Line) => boolean = () => true,
    deadlineMs?: number,
  ): Promise<Line> {
    const [index, line] = await this.#running.until(
      () => this.#lines.find(([at, each]) => each.event === name && !this.#taken.has(at) && matches(each)),
      deadlineMs,
    )
    this.#taken.add(index)
    return line
  }

  /** Ends it and deletes its data. */
  async close(): Promise<void> {
    await this.#process?.stop()
    await rm(this.#dataDir, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What it logged. */
  get log(): string {
    return this.#process?.stderr ?? ''
  }

  async #answer(what: string, fields: Record<string, unknown>, deadlineMs?: number): Promise<Line> {
    this.#lastId += 1
    const id = this.#lastId
    this.#running.write(`${JSON.stringify({ id, do: what, ...fields })}\n`)
    const [, line] = await this.#running.until(
      () => this.#lines.find(([, each]) => each.id === id),
      deadlineMs,
    )
    return line
  }

  get #running(): RunningProcess {
    return this.#process ?? assert.fail(`${this.name} does not run`)
  }

  get #lines(): [number, Line][] {
    return this.#running.lines().map((line, index) => [index, JSON.parse(line) as Line])
  }
}
