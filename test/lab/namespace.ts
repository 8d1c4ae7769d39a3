import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { runProcess } from './process.ts'

/** Network namespaces by name, and the commands that are run on one. */

const directory = '/var/run/netns'
const prefix = 'spacedock-lab'

/** Names of a lab's namespaces start with this; it says which process owns them. */
export function newLabId(): string {
  return `${prefix}-${process.pid}-${startOfProcess(process.pid)}-${randomBytes(4).toString('hex')}`
}

/** An empty namespace: loopback up, no other link, IPv6 addresses usable the moment they are set. */
export async function createNamespace(name: string): Promise<void> {
  await succeed(['ip', 'netns', 'add', name])
  await sysctl(name, {
    'net/ipv6/conf/all/accept_dad': 0,
    'net/ipv6/conf/default/accept_dad': 0,
    'net/ipv6/conf/all/accept_ra': 0,
    'net/ipv6/conf/default/accept_ra': 0,
  })
  await ip(name, ['link set lo up'])
}

/** Runs `ip` commands inside a namespace, one after the other; the first that fails rejects. Returns what they show. */
export async function ip(namespace: string, commands: readonly string[]): Promise<string> {
  return await succeed(['ip', '-details', '-n', namespace, '-batch', '-'], commands.join('\n'))
}

/** Loads an nft ruleset inside a namespace, all or nothing. */
export async function nft(namespace: string, ruleset: string): Promise<void> {
  await succeed(['ip', 'netns', 'exec', namespace, 'nft', '-f', '-'], ruleset)
}

/** Paths are below /proc/sys, for instance `net/ipv4/ip_forward`. */
export async function sysctl(namespace: string, settings: Record<string, number>): Promise<void> {
  const script = Object.entries(settings).map(([path, value]) => `echo ${value} > /proc/sys/${path}`)
  await succeed(['ip', 'netns', 'exec', namespace, 'sh', '-e'], script.join('\n'))
}

export function namespacesOf(labId: string): string[] {
  return listNamespaces().filter((name) => name.startsWith(`${labId}-`))
}

/** Processes whose network is one of these namespaces, whoever started them. */
export function processesIn(namespaces: readonly string[]): number[] {
  const inodes = new Set(namespaces.map((name) => inode(`${directory}/${name}`)))
  inodes.delete(undefined)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && inodes.has(inode(`/proc/${entry}/ns/net`)))
    .map(Number)
}

/**
 * Kills every process in the namespaces, then deletes them. Synchronous, so that it can run while this process exits.
 * A detached daemon is found too: what counts is the namespace, not the process group.
 */
export function removeNamespaces(names: readonly string[]): void {
  if (names.length === 0) return
  const deadline = performance.now() + 10_000
  for (let pids = processesIn(names); pids.length > 0; pids = processesIn(names)) {
    for (const pid of pids) killIfAlive(pid)
    if (performance.now() > deadline) throw new Error(`processes ${pids.join(', ')} of a lab do not die`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }
  const commands = names.map((name) => `netns del ${name}`).join('\n')
  const { stderr } = spawnSync('ip', ['-force', '-batch', '-'], { input: commands, encoding: 'utf8' })
  // Another test process may have cleaned up at the same time: what counts is that they are gone.
  const left = listNamespaces().filter((name) => names.includes(name))
  if (left.length > 0) throw new Error(`namespaces ${left.join(', ')} could not be deleted: ${stderr}`)
}

/** Removes the namespaces, and their processes, of labs whose owner was killed. Returns their names. */
export function cleanStale(): string[] {
  const stale = listNamespaces().filter((name) => name.startsWith(`${prefix}-`) && !ownerIsAlive(name))
  removeNamespaces(stale)
  return stale
}

function listNamespaces(): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    // The first namespace ever makes the directory.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function ownerIsAlive(namespace: string): boolean {
  const [pid, start] = namespace.slice(prefix.length + 1).split('-')
  // A process id alone may have been given to another process since.
  return pid !== undefined && startOfProcess(Number(pid)) === start
}

/** Clock ticks since boot, from /proc/PID/stat (proc(5), field 22); undefined for no such process. */
function startOfProcess(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Field 2 is the command's name in parentheses, and may hold spaces and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function inode(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function succeed(command: string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runProcess(command, { input, deadlineMs: 15_000 })
  if (code !== 0) throw new Error(`${command.join(' ')}\n${input}\nfailed: ${stderr}`)
  return stdout
}
