import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { installed } from './checkout.ts'
import { loopback } from './subjects/subject.ts'

const run = promisify(execFile)
const timeoutMs = 60_000

/** The command of a checkout, built, with a data directory of its own; its daemon goes with it. */
export class Command implements AsyncDisposable {
  readonly #installed: string
  readonly #dataDir: string

  constructor(checkout: string, dataDir: string) {
    this.#installed = installed(checkout)
    this.#dataDir = dataDir
  }

  /** Starts the daemon on the loopback interface. */
  async up(): Promise<void> {
    await this.#run('up', '--interface', loopback, '--mdns', 'off', '--port', '0')
  }

  async daemonPid(): Promise<number> {
    return (JSON.parse(await this.#run('status', '--json')) as { pid: number }).pid
  }

  async address(): Promise<string> {
    const { listen } = JSON.parse(await this.#run('status', '--json')) as { listen: string[] }
    return listen[0] ?? ''
  }

  /** Shows a code: the words, and the end of the command when a device has paired. */
  async pair(): Promise<{ words: string; paired: Promise<unknown> }> {
    const child = spawn(process.execPath, this.#args('pair', '--json', '--yes'), {
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: timeoutMs,
    })
    const paired = once(child, 'exit')
    for await (const line of createInterface(child.stdout)) {
      const event = JSON.parse(line) as { event: string; words: string }
      if (event.event !== 'code') continue
      child.stdout.resume()
      return { words: event.words, paired }
    }
    throw new Error('"spacedock pair" showed no code')
  }

  /** Joins; resolves when the command has ended. */
  async join(words: string, address: string): Promise<void> {
    const args = this.#args('join', '--json', '--yes', '--peer', address, '-')
    const joining = run(process.execPath, args, { timeout: timeoutMs })
    joining.child.stdin?.end(words)
    await joining
  }

  async down(): Promise<void> {
    await this.#run('down')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down().catch(() => {})
  }

  async #run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(process.execPath, this.#args(command, ...args), { timeout: timeoutMs })
    return stdout
  }

  #args(command: string, ...args: string[]): string[] {
    return [join(this.#installed, 'bin/spacedock.js'), '--dir', this.#dataDir, command, ...args]
  }
}
