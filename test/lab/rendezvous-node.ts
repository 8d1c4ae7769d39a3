import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host } from './host.ts'
import type { RunningProcess } from './process.ts'

/** The `spacedock rendezvous` command on a host of a lab. */
export class RendezvousNode {
  readonly host: Host
  readonly #dataDir: string
  readonly #args: readonly string[]
  readonly #env: Record<string, string>
  #process: RunningProcess | undefined
  #addresses: string[] = []

  private constructor(host: Host, dataDir: string, args: readonly string[], env: Record<string, string>) {
    this.host = host
    this.#env = env
    this.#dataDir = dataDir
    this.#args = args
  }

  /** Resolves when it listens. */
  static async start(
    host: Host,
    args: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<RendezvousNode> {
    const node = new RendezvousNode(host, await mkdtemp(join(tmpdir(), 'spacedock-rendezvous-')), args, env)
    await node.up()
    return node
  }

  /** What devices are given. */
  get address(): string {
    return this.addressIn('ip4')
  }

  /** All that it printed. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  addressIn(family: 'ip4' | 'ip6'): string {
    const address = this.#addresses.find((each) => each.startsWith(`/${family}/`))
    assert.ok(address !== undefined, `it printed no ${family} address: ${this.#addresses.join()}`)
    return address
  }

  /** Process id. */
  get pid(): number {
    const { pid } = this.#process ?? {}
    assert.ok(pid !== undefined, 'it does not run')
    return pid
  }

  get log(): string {
    return this.#process?.stderr ?? ''
  }

  async up(): Promise<void> {
    const command = [
      process.execPath,
      entryPoint,
      'rendezvous',
      '--json',
      '--dir',
      this.#dataDir,
      ...this.#args,
    ]
    this.#process = this.host.spawn(command, { env: this.#env })
    const line = await this.#process.line((text) => text.includes('"listening"'))
    const { addresses } = JSON.parse(line) as { addresses: string[] }
    this.#addresses = addresses
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.exited
  }

  /** In order; returns the exit code. */
  async stop(): Promise<number | null> {
    this.#process?.kill('SIGTERM')
    return (await this.#process?.finished())?.code ?? null
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}

const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))
