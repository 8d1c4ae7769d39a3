import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitForwarding } from './link.ts'
import { ip } from './namespace.ts'
import { RunningProcess, runProcess } from './process.ts'

/** What a long cable does to each frame, in each direction; the kernel's own cables do none of it. */
export interface CableOptions {
  /** One way. @default 0 */
  delayMs?: number
  /** Megabits a second; what has to wait longer than 200 ms for its turn is lost. @default as many as there are */
  rateMbit?: number
  /** The share of frames that are lost, from 0 to 1. @default 0 */
  loss?: number
}

const here = join(import.meta.dirname, 'cable')
const cache = join(import.meta.dirname, '../../node_modules/.cache/spacedock-lab')

/**
 * Puts a cable between two bridges of a namespace: a program that passes frames between two TAP devices, called after it. It
 * ends with the namespace's processes.
 */
export async function layCable(
  namespace: string,
  name: string,
  bridges: readonly [string, string],
  { delayMs = 0, rateMbit = 0, loss = 0 }: CableOptions,
): Promise<void> {
  const ends = bridges.map((bridge, index) => ({ bridge, end: `${name}-${index}` }))
  const options = ['-delay', `${delayMs}ms`, '-mbit', String(rateMbit), '-loss', String(loss)]
  const program = await cableProgram()
  const command = ['ip', 'netns', 'exec', namespace, program, ...options, ...ends.map(({ end }) => end)]
  await new RunningProcess(command).line((line) => line === 'ready')
  await ip(
    namespace,
    ends.map(({ end, bridge }) => `link set dev ${end} master ${bridge} up`),
  )
  await Promise.all(ends.map(async ({ end }) => await awaitForwarding({ namespace, name: end })))
}

/** Why there can be no cables here; false when there can. */
export async function whyNoCable(): Promise<string | false> {
  return await cableProgram().then(
    () => false,
    (error: unknown) => `cables with delay need Go: ${String(error)}`,
  )
}

/** Its path. Built once for each version of its source. */
async function cableProgram(): Promise<string> {
  const source = await readFile(join(here, 'main.go'))
  const path = join(cache, `cable-${createHash('sha256').update(source).digest('hex').slice(0, 16)}`)
  if (existsSync(path)) return path
  await mkdir(cache, { recursive: true })
  // Another test process may build it at the same time: each makes its own, and the last one stays.
  const made = `${path}-${randomUUID()}`
  const { code, stderr } = await runProcess(['go', 'build', '-o', made, '.'], {
    cwd: here,
    env: { CGO_ENABLED: '0', GOTOOLCHAIN: 'local' },
    deadlineMs: 300_000,
  })
  if (code !== 0) throw new Error(`go build: ${stderr}`)
  await rename(made, path)
  return path
}
