import { closeSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Log, LogLevel, NodeOptions, SpacedockNode } from '../api.ts'
import { type DaemonConfig, mergeConfig, readConfig, sameConfig, writeConfig } from './config.ts'
import { Defects } from './defects.ts'
import { describeError } from './error-line.ts'
import { createLog, defaultLogLevel } from './log.ts'
import { leadsTo, LogFile, logPath } from './log-file.ts'
import type { MetricsEndpoint } from './metrics-endpoint.ts'
import type { DaemonFacts } from './methods.ts'
import { type DaemonReport, type DaemonSettings, stopDeadlineMs } from './process.ts'
import { exposition } from './prometheus.ts'
import { type DaemonServer, startServer } from './server.ts'
import { interfaceNames } from '../network/interfaces.ts'
import { version } from '../version.ts'

export type CreateNode = (options: NodeOptions) => Promise<SpacedockNode>

export interface DaemonOptions {
  dataDir: string
  settings: DaemonSettings
  createNode: CreateNode
  /** Descriptor to which one line says that the daemon is ready, or why not. */
  reportDescriptor?: number
}

/**
 * Runs the daemon in a process of its own: resolves with the exit code when it has been stopped, rejects when it cannot start.
 * The process has to be ended then; a second signal, or 5 s of stopping, end it anyway.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  process.umask(0o077)
  const dataDir = resolve(options.dataDir)
  const logging = startLogging(dataDir, options.settings.logLevel)
  const { log } = logging
  const stop = listenForSignals(log)
  const onTooMany = (): void => stop.request('too many defects', 1)
  const defects = new Defects({ log, program: 'daemon', onTooMany })
  let running: Running
  try {
    running = await defects.guard(start({ ...options, dataDir }, logging, defects, stop.request))
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
  await running.metrics?.close()
  await running.node.close()
  log('info', 'daemon.stopped')
  return exitCode
}

interface Running {
  node: SpacedockNode
  server: DaemonServer
  metrics: MetricsEndpoint | null
}

async function start(
  options: DaemonOptions,
  { log, file, setLevel }: Logging,
  defects: Defects,
  stop: (reason: string, exitCode?: number) => void,
): Promise<Running> {
  const { dataDir, settings, createNode } = options
  const kept = await readConfig(dataDir)
  const { name, ...given } = settings
  const config = mergeConfig(kept, given)
  const { logLevel = defaultLogLevel, metricsPort, ...nodeConfig } = config
  setLevel(logLevel)
  const node = await createNode({
    dataDir,
    log,
    ...(name === undefined ? {} : { name }),
    ...withoutUnused(nodeConfig),
    ...(given.interfaces === undefined ? withoutAbsent(kept.interfaces, log) : {}),
  })
  let metrics: MetricsEndpoint | null = null
  try {
    if (metricsPort !== undefined) {
      const read = (): string => metricsText(node, defects)
      // Node's HTTP takes longer to load than all else of the daemon's own.
      const { startMetricsEndpoint } = await import('./metrics-endpoint.ts')
      metrics = await startMetricsEndpoint({ port: metricsPort, read, log })
    }
    // The settings are kept only now: a port that is taken must not come back at every later start.
    if (!sameConfig(kept, config)) await writeConfig(dataDir, config)
    const metricsUrl = metrics === null ? null : `http://127.0.0.1:${metrics.port}/metrics`
    const about = (): DaemonFacts => ({ log: file, metricsUrl, defects: defects.count })
    const server = await startServer({
      node,
      about,
      dataDir,
      log,
      onStop: () => stop('asked'),
      onDirectoryLost: () => stop('the data directory was removed', 1),
    })
    return { node, server, metrics }
  } catch (error) {
    await metrics?.close()
    await node.close()
    throw error
  }
}

/** Drops what is kept for another time: nodes and the DHT while the local network alone is used, bootstrap nodes without the DHT. */
function withoutUnused(config: DaemonConfig): DaemonConfig {
  const { rendezvous, dht, dhtBootstrap, ...rest } = config
  if (config.lanOnly === true) return rest
  const dhtSettings =
    dht === undefined ? {} : { dht, ...(dhtBootstrap === undefined ? {} : { dhtBootstrap }) }
  return { ...rest, ...(rendezvous === undefined ? {} : { rendezvous }), ...dhtSettings }
}

/**
 * Drops kept network interfaces that are absent: a start must not fail because one is unplugged today; when all are, it says so.
 */
function withoutAbsent(kept: string[] = [], log: Log): { interfaces?: string[] } {
  const known = interfaceNames()
  const there = kept.filter((name) => known.includes(name))
  if (there.length === 0 || there.length === kept.length) return {}
  log('warn', 'daemon.interfaces-absent', { absent: kept.filter((name) => !known.includes(name)) })
  return { interfaces: there }
}

function metricsText(node: SpacedockNode, defects: Defects): string {
  const { user, system } = process.cpuUsage()
  return exposition(
    { ...node.metrics(), defects: defects.count },
    {
      version,
      devices: node.status().devices,
      startedAt: performance.timeOrigin / 1000,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
    },
  )
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

interface Logging {
  log: Log
  /** Path of the file; null for standard error. */
  file: string | null
  setLevel: (level: LogLevel) => void
}

/**
 * Starts the log. Standard error belongs to the starter of the daemon: a terminal, or a service manager with a log of its own.
 * When it is `daemon.log` in the data directory, as in the background, the daemon looks after that file itself.
 */
function startLogging(dataDir: string, given: LogLevel = defaultLogLevel): Logging {
  process.stderr.on('error', () => undefined) // nobody reads it any more: nothing to be done
  let level = given
  const path = logPath(dataDir)
  const file = leadsTo(process.stderr.fd, path) ? new LogFile(path) : null
  const write = (line: string): void => void (file === null ? process.stderr.write(line) : file.write(line))
  return {
    log: createLog(write, { level: () => level }),
    file: file === null ? null : path,
    setLevel: (next) => {
      level = next
    },
  }
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
