import { closeSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Log, NodeOptions, SpacedockNode } from '../api.ts'
import { mergeConfig, readConfig, sameConfig, writeConfig } from './config.ts'
import { describeError } from './error-line.ts'
import { createLog } from './log.ts'
import { rotateLogFile } from './log-file.ts'
import { type DaemonReport, type DaemonSettings, stopDeadlineMs } from './process.ts'
import { type DaemonServer, startServer } from './server.ts'
import { version } from '../version.ts'

export type CreateNode = (options: NodeOptions) => Promise<SpacedockNode>

export interface DaemonOptions {
  dataDir: string
  settings: DaemonSettings
  createNode: CreateNode
  /** A descriptor to which one line says that the daemon is ready, or why not. */
  reportDescriptor?: number
}

/**
 * The daemon's whole life, in a process of its own: resolves with the exit code when it has been stopped, rejects when
 * it cannot start. The process has to be ended then; a second signal, or 5 s of stopping, end it anyway.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  process.umask(0o077)
  const dataDir = resolve(options.dataDir)
  const log = logToStandardError(
    options.reportDescriptor === undefined ? () => undefined : () => rotateLogFile(dataDir),
  )
  const stop = listenForSignals(log)
  surviveDefects(log)
  let running: { node: SpacedockNode; server: DaemonServer }
  try {
    running = await start({ ...options, dataDir }, log, stop.request)
  } catch (error) {
    log('error', 'daemon.start-failed', { error })
    report(options.reportDescriptor, { error: describeError(error) })
    throw error
  }
  report(options.reportDescriptor, { ready: true })
  log('info', 'daemon.ready', {
    version,
    pid: process.pid,
    id: running.node.id,
    address: running.server.address,
  })

  const { reason, exitCode } = await stop.requested
  log('info', 'daemon.stopping', { reason })
  await running.server.close()
  await running.node.close()
  log('info', 'daemon.stopped')
  return exitCode
}

async function start(
  options: DaemonOptions,
  log: Log,
  stop: (reason: string) => void,
): Promise<{ node: SpacedockNode; server: DaemonServer }> {
  const { dataDir, settings, createNode } = options
  const kept = await readConfig(dataDir)
  const { name, ...given } = settings
  const config = mergeConfig(kept, given)
  const node = await createNode({ dataDir, log, ...(name === undefined ? {} : { name }), ...config })
  try {
    // Only now: a port that is taken must not come back at every later start.
    if (!sameConfig(kept, config)) await writeConfig(dataDir, config)
    const server = await startServer({ node, dataDir, log, onStop: () => stop('asked') })
    return { node, server }
  } catch (error) {
    await node.close()
    throw error
  }
}

interface Stop {
  requested: Promise<{ reason: string; exitCode: number }>
  request: (reason: string, exitCode?: number) => void
}

function listenForSignals(log: Log): Stop {
  const { promise, resolve: requested } = Promise.withResolvers<{ reason: string; exitCode: number }>()
  let stopping = false
  const request = (reason: string, exitCode = 0): void => {
    if (stopping) return
    stopping = true
    setTimeout(() => {
      log('error', 'daemon.stop-too-slow', { deadlineMs: stopDeadlineMs })
      process.exit(1)
    }, stopDeadlineMs)
    requested({ reason, exitCode })
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const exitCode = signal === 'SIGINT' ? 130 : 0
    process.on(signal, () => {
      if (stopping) process.exit(exitCode === 0 ? 1 : exitCode)
      request(signal, exitCode)
    })
  }
  return { requested: promise, request }
}

/** Sockets that close at a bad moment have thrown out of libp2p's streams: that must not end every device's connection. */
function surviveDefects(log: Log): void {
  process.on('uncaughtException', (error) => log('error', 'daemon.uncaught-exception', { error }))
  process.on('unhandledRejection', (error) => log('error', 'daemon.unhandled-rejection', { error }))
}

/** A service manager keeps what goes to standard error; in the background it is `daemon.log`. */
function logToStandardError(written: () => void): Log {
  process.stderr.on('error', () => undefined) // nobody reads it any more: nothing to be done
  return createLog((line) => {
    process.stderr.write(line)
    written()
  })
}

function report(descriptor: number | undefined, line: DaemonReport): void {
  if (descriptor === undefined) return
  try {
    writeSync(descriptor, `${JSON.stringify(line)}\n`)
    closeSync(descriptor)
  } catch {
    // The command that started the daemon has gone; the daemon stays.
  }
}
