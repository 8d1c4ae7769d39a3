import { existsSync } from 'node:fs'
import type { Result } from '../../daemon/daemon-api.ts'
import { isDaemonRunning } from '../../daemon/client.ts'
import { takeOver } from '../../daemon/handed-over.ts'
import { logPath } from '../../daemon/log-file.ts'
import { printableLine } from '../../daemon/printable.ts'
import { stopDaemon } from '../../daemon/stop.ts'
import { version } from '../../version.ts'
import type { Command, CommandContext } from '../command.ts'
import { told } from '../command-hints.ts'
import { exitCodes } from '../exit-codes.ts'
import { statusText } from '../status-text.ts'

export const up: Command = {
  name: 'up',
  summary: 'start the daemon',
  usage: [
    '[--foreground] [--name NAME] [--interface NAME]... [--port N] [--rendezvous ADDR]... [--lan-only]',
  ],
  options: {
    foreground: {
      type: 'boolean',
      what: 'stay in the foreground, for service managers; logs go to standard error',
    },
    'report-fd': { type: 'string', value: 'N' },
  },
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  notes: [
    'Every command that needs the daemon starts it, so this is only needed to start it with settings, at boot,\nor from a service manager. The options marked "kept" are written to\nconfig.json in the data directory and hold for later starts; the name is kept with the device.',
    'Other users of the machine can read this command line while it runs, with a secret behind a # in it; the daemon that\nit starts does not show it. Where that matters, write "rendezvous": ["ADDR"] into config.json instead.',
    'To have it started by the system, at each login or boot, see "spacedock service --help".',
  ],
  examples: [
    { line: 'up --name laptop', what: 'start, with a name' },
    { line: 'up --interface eth0', what: 'use one network interface, from now on' },
    {
      line: 'up --rendezvous /ip4/20.3.4.5/tcp/4111/p2p/12D3KooW...',
      what: 'meet devices in other networks there, from now on',
    },
    { line: 'up --metrics-port 9464', what: 'counters for Prometheus, from now on' },
    { line: 'up --foreground', what: 'in a container, or under your own service manager' },
  ],
  run: async (context) => {
    if (context.options.flag('foreground')) return runInForeground(context)
    const { daemon, output } = context
    const before = await daemon.ensureRunning()
    const found = await daemon.call('status', {})
    const what = before === 'started' ? 'Spacedock runs' : 'Spacedock runs already'
    output.result(statusLine(found), `${what} as "${printableLine(found.name)}" (pid ${found.pid}).`)
    if (found.version !== version) {
      const text = `That daemon is version ${printableLine(found.version)}, this command is ${version}: "spacedock down", then "spacedock up".`
      output.progress({ event: 'other-version' }, text)
    }
    return exitCodes.ok
  },
}

export const down: Command = {
  name: 'down',
  summary: 'stop the daemon',
  usage: [''],
  options: {},
  positionals: { least: 0, most: 0 },
  startsDaemon: false,
  notes: ['Waits until its process is gone. Exit code 3 when none runs.'],
  examples: [{ line: 'down', what: 'stop it; the next command that needs it starts it again' }],
  run: async ({ dataDir, output, signal }) => {
    const { pid, log } = await stopDaemon(dataDir, { signal })
    const where = log === null ? '' : ` Its log is ${printableLine(log)}.`
    output.result({ running: false, pid }, `Spacedock is stopped.${where}`)
    return exitCodes.ok
  },
}

export const status: Command = {
  name: 'status',
  summary: 'show whether the daemon runs, and how others reach this device',
  usage: [''],
  options: {},
  positionals: { least: 0, most: 0 },
  startsDaemon: false,
  notes: [
    'Never starts the daemon. Exit code 3 when none runs. Counters are since its start; --json has all of them,\nunder "metrics".',
  ],
  examples: [{ line: 'status --json', what: 'for programs' }],
  run: async ({ dataDir, daemon, output }) => {
    if (!(await isDaemonRunning(dataDir))) {
      const log = logPath(dataDir)
      const where = existsSync(log) ? `\nIts last log is ${printableLine(log)}.` : ''
      output.result({ running: false }, `The daemon is not running. Start it with "spacedock up".${where}`)
      return exitCodes.noDaemon
    }
    const found = await daemon.call('status', {})
    output.result(statusLine(found), statusText(found))
    return exitCodes.ok
  },
}

async function runInForeground({ options, dataDir, settings, environment }: CommandContext): Promise<number> {
  const reportDescriptor = options.wholeNumber('report-fd', 3, 1_000)
  const [{ runDaemon }, { createNode }] = await Promise.all([
    import('../../daemon/run.ts'),
    environment.loadNode(),
  ])
  const start =
    reportDescriptor === undefined
      ? { settings }
      : { settings: takeOver(settings, process.env), reportDescriptor }
  const exitCode = await told(runDaemon({ dataDir, createNode, ...start }))
  // The node is closed; open handles of a library must not keep the process.
  process.exit(exitCode)
}

function statusLine({
  pid,
  version: itsVersion,
  peerId,
  id,
  name,
  listen,
  devices,
  uptimeMs,
  publicNetwork,
  notices,
  inbox,
  log,
  metricsUrl,
  metrics,
}: Result<'status'>): object {
  const uptime = Math.round(uptimeMs) / 1000
  const facts = { running: true, pid, version: itsVersion, peerId, id, name, listen, devices, uptime }
  // Another version may not say all of the rest.
  return { ...facts, publicNetwork, notices, inbox, log, metricsUrl, metrics }
}
