import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { parse as parsePath, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import * as v from 'valibot'
import { untilAborted } from '../abort.ts'
import { SpacedockError } from '../errors.ts'
import { fileError, tooManyFiles } from '../file-errors.ts'
import { prepareDataDirectory } from '../store/data-directory.ts'
import { isDaemonRunning } from './client.ts'
import type { DaemonConfig } from './config.ts'
import { errorFields, restoreError } from './error-line.ts'
import { handOver } from './handed-over.ts'
import { parseJson, readLines } from './lines.ts'
import { logPath, openLogFile } from './log-file.ts'

/** Settings given when the daemon is started; kept for later starts. */
export interface DaemonSettings extends Omit<DaemonConfig, 'dhtBootstrap' | 'messages'> {
  name?: string
}

export interface StartOptions {
  dataDir: string
  /** Script that the daemon's process runs, as the command itself was started. */
  binPath: string
  settings: DaemonSettings
  signal?: AbortSignal
}

const startDeadlineMs = 30_000
/** Deadline after which a daemon that is told to stop is gone, one way or the other. */
export const stopDeadlineMs = 5000
const startAttempts = 3
/** Time that a process may hold the directory without a socket: a daemon that starts or stops, or an application's own node. */
const otherDeadlineMs = 1500
/** Descriptor in the daemon's process; the parent's end of the pipe is `stdio[3]`. */
const reportDescriptor = 3

/**
 * Starts the daemon in the background and waits until it answers. Rejects with the error that its start failed with.
 * Another process that starts one at the same moment is no error: there is one daemon afterwards.
 */
export async function startDaemon({ dataDir, binPath, settings, signal }: StartOptions): Promise<void> {
  const deadline = AbortSignal.timeout(startDeadlineMs)
  const ended = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        await spawnDaemon(resolve(dataDir), binPath, settings, ended)
        break
      } catch (error) {
        if (!(error instanceof SpacedockError && error.code === 'already-running')) throw error
        if (await appears(dataDir, ended)) break
        if (attempt === startAttempts) throw error
      }
    }
  } catch (error) {
    if (deadline.aborted) throw tooSlow(dataDir, error)
    throw error
  }
}

async function spawnDaemon(
  dataDir: string,
  binPath: string,
  settings: DaemonSettings,
  signal: AbortSignal,
): Promise<void> {
  const log = openLog(dataDir)
  const { shown, environment } = handOver(settings, process.env)
  const child = spawn(process.execPath, [binPath, ...daemonArguments(dataDir, shown)], {
    env: environment,
    detached: true,
    windowsHide: true,
    cwd: parsePath(dataDir).root, // keeps the directory of the command free
    stdio: ['ignore', log, log, 'pipe'],
  })
  closeSync(log)
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(tooManyFiles(cause) ?? notStarted(cause)))
  })
  if (child.pid === undefined) return failed // then it has no pipes either
  const report = child.stdio[reportDescriptor] as Readable
  try {
    await untilAborted(Promise.race([readReport(report, dataDir), failed]), signal)
  } catch (error) {
    await end(child)
    throw error
  } finally {
    report.destroy()
    child.unref()
  }
}

/** Ends a daemon that the command has given up on, so that it is not left behind. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const impatience = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs + 1000)
  const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  child.kill()
  await exited
  clearTimeout(impatience)
}

async function readReport(report: Readable, dataDir: string): Promise<void> {
  for await (const line of readLines(report, 64 * 1024)) {
    const parsed = v.parse(reportLine, parseJson(line))
    if ('ready' in parsed) return
    throw restoreError(parsed.error)
  }
  throw new SpacedockError('internal', 'The daemon ended before it was ready.', {
    hint: `The end of ${logPath(dataDir)} may say why.`,
  })
}

/** Report of a daemon to the command that started it: one line. */
export type DaemonReport = v.InferOutput<typeof reportLine>

const reportLine = v.union([
  v.strictObject({ ready: v.literal(true) }),
  v.strictObject({ error: errorFields }),
])

function daemonArguments(dataDir: string, settings: DaemonSettings): string[] {
  return [
    'up',
    '--foreground',
    '--json',
    `--report-fd=${reportDescriptor}`,
    ...upArguments(dataDir, settings),
  ]
}

/** Arguments of `up` that run a daemon with these settings. */
export function upArguments(dataDir: string, settings: DaemonSettings): string[] {
  const {
    name,
    interfaces = [],
    port,
    announce = [],
    portMapping,
    rendezvous = [],
    lanOnly = false,
    dht,
    mdns,
    logLevel,
    metricsPort,
  } = settings
  return [
    `--dir=${dataDir}`,
    ...(name === undefined ? [] : [`--name=${name}`]),
    ...interfaces.map((networkInterface) => `--interface=${networkInterface}`),
    ...(port === undefined ? [] : [`--port=${port}`]),
    ...announce.map((address) => `--announce=${address}`),
    ...(portMapping === undefined ? [] : [`--port-mapping=${portMapping ? 'on' : 'off'}`]),
    ...rendezvous.map((address) => `--rendezvous=${address}`),
    ...(lanOnly ? ['--lan-only'] : []),
    ...(dht === undefined ? [] : [`--dht=${dht}`]),
    ...(mdns === undefined ? [] : [`--mdns=${mdns ? 'on' : 'off'}`]),
    ...(logLevel === undefined ? [] : [`--log-level=${logLevel}`]),
    ...(metricsPort === undefined ? [] : [`--metrics-port=${metricsPort}`]),
  ]
}

function openLog(dataDir: string): number {
  try {
    prepareDataDirectory(dataDir)
    return openLogFile(dataDir)
  } catch (error) {
    throw fileError(error, dataDir) ?? error
  }
}

function notStarted(cause: Error): SpacedockError {
  return new SpacedockError('internal', `The daemon could not be started: ${cause.message}.`, {
    hint: 'Close some programs, then try again.',
    cause,
  })
}

async function appears(dataDir: string, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + otherDeadlineMs
  while (performance.now() < deadline) {
    if (await isDaemonRunning(dataDir)) return true
    signal.throwIfAborted()
    await new Promise((resume) => void setTimeout(resume, 25))
  }
  return false
}

function tooSlow(dataDir: string, cause: unknown): SpacedockError {
  return new SpacedockError('timed-out', `The daemon was not ready within ${startDeadlineMs / 1000} s.`, {
    hint: `Try again; the end of ${logPath(dataDir)} may say why.`,
    cause,
  })
}
