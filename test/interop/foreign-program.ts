import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installMissing } from '../lab/requirements.ts'
import { runProcess } from '../lab/process.ts'

/** A program in another language that is one device, as interop/README.md says. */
export interface ForeignProgram {
  /** What the table calls it. */
  name: string
  /** How it is started; its own options follow. */
  command: readonly string[]
}

export interface Recipe {
  name: string
  /** The commands it takes to build it, with Debian's packages that have them. */
  packages: Record<string, string>
  /** The compiler's version that it takes, and the command that says which one there is. */
  compiler?: { command: readonly string[]; atLeast: readonly [number, number] }
  /** The folder in `interop/` in which it is built. */
  folder: string
  /** The command that builds it. */
  build: (output: string) => readonly string[]
  /** Its executable, when the build does not put it at `output`. */
  executable?: (output: string) => string
}

/**
 * Builds the program. A sentence says why this machine cannot, for the `skip` of a test; where the environment says CI, that
 * is a failure and ends the process.
 */
export async function buildProgram(recipe: Recipe): Promise<ForeignProgram | string> {
  const { name, folder, packages, compiler } = recipe
  const missing = await installMissing(packages, `The device in ${name}`)
  if (missing.length > 0)
    return skip(`The device in ${name} cannot be built: ${missing.join(', ')} could not be installed.`)
  if (compiler !== undefined) {
    const { stdout } = await runProcess(compiler.command)
    const [major = 0, minor = 0] = (/\d+\.\d+/u.exec(stdout)?.[0] ?? '').split('.').map(Number)
    const [wantedMajor, wantedMinor] = compiler.atLeast
    if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
      const wanted = `it takes ${compiler.atLeast.join('.')}, and this is ${stdout.trim()}`
      return skip(`The device in ${name} cannot be built: ${wanted}.`)
    }
  }
  const output = join(cache, folder, 'device')
  await mkdir(dirname(output), { recursive: true })
  const startedAt = performance.now()
  const { code, stderr } = await runProcess(recipe.build(output), {
    cwd: join(interop, folder),
    deadlineMs: 1_800_000,
  })
  if (code !== 0) throw new Error(`The device in ${name} does not build:\n${stderr}`)
  console.error(`${name}: built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return { name, command: [recipe.executable?.(output) ?? output] }
}

/** Runs a command in the folder of a program; rejects with its output when it fails. */
export async function runInFolder(folder: string, command: readonly string[]): Promise<void> {
  const options = { cwd: join(interop, folder), deadlineMs: 1_800_000 }
  const { code, stdout, stderr } = await runProcess(command, options)
  if (code !== 0) throw new Error(`${command.join(' ')} failed:\n${stdout}${stderr}`)
}

function skip(sentence: string): string {
  console.error(sentence)
  if (process.env['CI'] !== undefined && process.env['CI'] !== '') process.exit(1)
  return sentence
}

const interop = fileURLToPath(new URL('../../interop', import.meta.url))
const cache = fileURLToPath(new URL('../../node_modules/.cache/interop', import.meta.url))
