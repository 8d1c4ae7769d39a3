import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { SpacedockError } from '../errors.ts'
import { fileError } from '../file-errors.ts'

/**
 * Place at which the daemon of a data directory listens.
 *
 * Usually `daemon.sock` in the directory itself. Two cases need another place, and then `daemon.address` in the data directory
 * names it, so that a client finds it independent of its own environment: a path too long for a Unix socket goes to a private
 * runtime directory; on Windows the socket is a named pipe, whose name is made up anew for each start because any user could take
 * a guessable name first.
 */

/** Longest path of a socket: 104 bytes on macOS, 108 on Linux, one of them for the terminator. */
const longestSocketPathBytes = 100

/** Prepares the address, for the holder of the data directory's lock alone: removes what an earlier daemon left. */
export async function prepareSocketAddress(
  dataDir: string,
  platform: NodeJS.Platform = process.platform,
): Promise<string> {
  try {
    const address = await chooseAddress(dataDir, platform)
    const directPath = join(resolve(dataDir), 'daemon.sock')
    if (address === directPath) await rm(addressFile(dataDir), { force: true })
    else await writeFile(addressFile(dataDir), address, { mode: 0o600 })
    if (platform !== 'win32') await removeStaleSocket(address)
    return address
  } catch (error) {
    throw fileError(error, resolve(dataDir)) ?? error
  }
}

/**
 * Finds the address of the daemon; null when there is none. Rejects `directory-unusable` when the data directory belongs to somebody
 * else, who could be listening there for the words; a runtime directory that does is none of ours.
 */
export async function findSocketAddress(
  dataDir: string,
  platform: NodeJS.Platform = process.platform,
): Promise<string | null> {
  const directPath = join(resolve(dataDir), 'daemon.sock')
  if (platform !== 'win32' && !(await isInUse(resolve(dataDir)))) return null
  if (platform !== 'win32' && fits(directPath)) return directPath
  const address = await readAddress(dataDir)
  if (address === null || platform === 'win32') return address
  return (await problemOf(dirname(address), lstat)) === null ? address : null
}

/** Address that the last daemon has left, if it was not in the data directory itself. */
async function readAddress(dataDir: string): Promise<string | null> {
  try {
    return (await readFile(addressFile(dataDir), 'utf8')).trim()
  } catch (cause) {
    if (isMissing(cause)) return null
    throw fileError(cause, resolve(dataDir)) ?? cause
  }
}

async function chooseAddress(dataDir: string, platform: NodeJS.Platform): Promise<string> {
  if (platform === 'win32') return `\\\\.\\pipe\\spacedock-${randomBytes(16).toString('hex')}`
  const directPath = join(resolve(dataDir), 'daemon.sock')
  if (fits(directPath)) return directPath

  const name = `${createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 24)}.sock`
  const earlier = await readAddress(dataDir)
  for (const directory of [...(earlier === null ? [] : [dirname(earlier)]), ...runtimeDirectories()]) {
    const path = join(directory, name)
    if (!fits(path)) continue
    if ((await makeDirectory(directory)) && (await problemOf(directory, lstat)) === null) return path
  }
  // Somebody else has taken the usual place, or a file is there: one that nobody could have taken.
  if (fits(join(tmpdir(), 'spacedock-XXXXXX', name)))
    return join(await mkdtemp(join(tmpdir(), 'spacedock-')), name)
  throw new SpacedockError('directory-unusable', `The path ${directPath} is too long for a socket.`, {
    hint: 'Choose a directory with a shorter path with --dir, or correct XDG_RUNTIME_DIR.',
  })
}

/**
 * Makes the directory; returns whether it is there now. The one above it belongs to the system: when that is missing, so is this
 * way.
 */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
  }
}

function runtimeDirectories(): string[] {
  const runtime = process.env['XDG_RUNTIME_DIR']
  const fallback = join(tmpdir(), `spacedock-${process.getuid?.() ?? 'user'}`)
  return runtime === undefined || runtime === '' ? [fallback] : [join(runtime, 'spacedock'), fallback]
}

/** Whether somebody may be using this data directory of ours; false when there is none, or nothing in it. */
async function isInUse(directory: string): Promise<boolean> {
  const problem = await problemOf(directory, stat)
  if (problem === null) return true
  if (problem === 'is missing') return false
  if (problem === 'can be written by other users' && (await readdir(directory)).length === 0) return false
  throw unusable(directory, problem)
}

type Problem =
  'is missing' | 'is not a directory' | 'belongs to another user' | 'can be written by other users'

/**
 * Why the directory is none of ours; null when it is. A data directory may be reached over a link (`stat`); a directory in a place
 * that everybody can write to may not (`lstat`), because a link of somebody else's can be turned after the check.
 */
async function problemOf(directory: string, inspect: typeof stat | typeof lstat): Promise<Problem | null> {
  try {
    const found = await inspect(directory)
    if (!found.isDirectory()) return 'is not a directory'
    // A number, not a name: in a container the system's list of users often does not have this one.
    if (found.uid !== process.getuid?.()) return 'belongs to another user'
    return (found.mode & 0o022) === 0 ? null : 'can be written by other users'
  } catch (cause) {
    if (isMissing(cause)) return 'is missing'
    throw fileError(cause, directory) ?? cause
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  try {
    const found = await lstat(path)
    if (!found.isSocket()) throw inTheWay(path)
    await rm(path)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
  }
}

function addressFile(dataDir: string): string {
  return join(resolve(dataDir), 'daemon.address')
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) < longestSocketPathBytes
}

function inTheWay(path: string): SpacedockError {
  return new SpacedockError('directory-unusable', `The file ${path} is in the way: it is not a socket.`, {
    hint: 'Move it away, or choose another directory with --dir.',
  })
}

function unusable(path: string, problem: Problem): SpacedockError {
  return new SpacedockError('directory-unusable', `The directory ${path} ${problem}.`, {
    hint: 'Choose another directory with --dir, or correct its owner and mode (0700).',
  })
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
