import { fileURLToPath } from 'node:url'
import { RunningProcess, runProcess, type Finished } from '../lab/process.ts'
import type { Scene } from './scene.ts'
import type { Patch } from './threat.ts'

const patchedSource = new URL('patched-source.ts', import.meta.url).href
const entry = fileURLToPath(new URL('spacedock.ts', import.meta.url))

/** A daemon in a process of its own, and the commands of its user. Everything that either prints is kept. */
export class RealDaemon {
  readonly dataDir: string
  readonly process: RunningProcess
  readonly printed: string[] = []

  private constructor(dataDir: string, process: RunningProcess) {
    this.dataDir = dataDir
    this.process = process
  }

  /** `patches`: what is different in this process, besides what the control has taken out. */
  static async start(
    scene: Scene,
    name: string,
    { dataDir = scene.directory(), patches = [] }: { dataDir?: string; patches?: readonly Patch[] } = {},
  ): Promise<RealDaemon> {
    const args = ['up', '--foreground', '--name', name, '--interface', 'lo', '--log-level', 'debug']
    const all = [...(JSON.parse(process.env['SPACEDOCK_TEST_PATCHES'] ?? '[]') as Patch[]), ...patches]
    const env = {
      SPACEDOCK_DIR: undefined,
      SPACEDOCK_TEST_PATCHES: JSON.stringify(all),
      NODE_OPTIONS: `--disable-warning=ExperimentalWarning${all.length > 0 ? ` --import=${patchedSource}` : ''}`,
    }
    const running = new RunningProcess(commandLine(dataDir, args), { env })
    scene.after(() => running.stop())
    await running.line((line) => line.includes('daemon.ready'), { stream: 'stderr' })
    return new RealDaemon(dataDir, running)
  }

  async run(args: readonly string[], options: { input?: string } = {}): Promise<Finished> {
    const finished = await runProcess(commandLine(this.dataDir, args), { ...options, deadlineMs: 60_000 })
    this.printed.push(finished.stdout, finished.stderr)
    return finished
  }

  spawn(args: readonly string[]): RunningProcess {
    return new RunningProcess(this.commandLine(args))
  }

  /** Program and arguments of a command of its user. */
  commandLine(args: readonly string[]): string[] {
    return commandLine(this.dataDir, args)
  }

  /** What the node says of itself; `peerId` and `listen` as in the contract of `status`. */
  async status(): Promise<{ peerId: string; listen: string[] }> {
    const { stdout } = await this.run(['status', '--json'])
    return JSON.parse(stdout) as { peerId: string; listen: string[] }
  }

  async address(): Promise<string> {
    const { listen } = await this.status()
    return listen.find((address) => address.startsWith('/ip4/127.')) ?? ''
  }

  get log(): string {
    return this.process.stderr
  }
}

function commandLine(dataDir: string, args: readonly string[]): string[] {
  return [process.execPath, entry, '--dir', dataDir, ...args]
}
