import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SpacedockError } from '../../src/errors.ts'
import { localPlace } from '../device.ts'
import type { Finished, Place } from '../lab/process.ts'

/** `json`: with --json, for programs. `text`: for people. */
export type Form = 'json' | 'text'

/** How a situation ended: a real command's output, or the error of a library call where no command can wait for it. */
export type Outcome =
  | { kind: 'command'; code: number | null; stdout: string; stderr: string }
  | { kind: 'library'; error: SpacedockError }

/** One row of the table in docs/errors.md, made to happen. */
export interface Situation {
  /** Why this machine cannot make it happen; the row is skipped then, and in CI it fails. */
  obstacle?: () => Promise<string | false>
  /** Rows that only cost one command are looked at in both forms. */
  forms?: readonly Form[]
  provoke: (form: Form) => Promise<Outcome>
}

export type Situations = Record<string, Situation>

export const inBothForms: readonly Form[] = ['json', 'text']

export interface CommandOptions {
  dataDir: string
  form: Form
  place?: Place | undefined
  input?: string
  env?: Record<string, string>
  /** What the command is run by, such as `setpriv`. */
  by?: readonly string[]
}

export const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))

/** Makes a process believe that its standard input is a terminal. */
export const atTerminal = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent('process.stdin.isTTY = true')}`,
}

/** Runs the real command to its end. */
export async function spacedock(args: readonly string[], options: CommandOptions): Promise<Outcome> {
  const { dataDir, form, place = localPlace(), input = '', env = {}, by = [] } = options
  const forPrograms = form === 'json' ? ['--json'] : []
  const command = [...by, process.execPath, entryPoint, '--dir', dataDir, ...forPrograms, ...args]
  const { code, stdout, stderr } = await place.run(command, {
    input,
    env: { SPACEDOCK_DIR: undefined, ...env },
    deadlineMs: 60_000,
  })
  return { kind: 'command', code, stdout, stderr }
}

export function asCommand({ code, stdout, stderr }: Finished): Outcome {
  return { kind: 'command', code, stdout, stderr }
}

/** Where daemons of these tests listen: never on this machine's own network. */
export const onLoopback = ['--interface', localPlace().interfaces?.[0] ?? 'lo']

const trash = new Set<string>()

/** A private directory that goes away with the test file; `name` is one in it that does not exist yet. */
export async function newDirectory(name?: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'spacedock-errors-'))
  trash.add(directory)
  return name === undefined ? directory : join(directory, name)
}

export async function removeDirectories(): Promise<void> {
  for (const directory of trash) {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    trash.delete(directory)
  }
}

/** A directory of its own below `parent`. */
export async function makeDirectory(parent: string, name: string, mode: number): Promise<string> {
  const path = join(parent, name)
  await mkdir(path, { mode })
  return path
}
