import { printableLine } from '../../daemon/printable.ts'
import { SpacedockError } from '../../errors.ts'
import { startOptions } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { dataDirectory } from '../directory-choice.ts'
import { exitCodes } from '../exit-codes.ts'
import type { ServiceManager } from '../../daemon/service/service-manager.ts'

const { 'no-start': _, ...daemonOptions } = startOptions

export const service: Command = {
  name: 'service',
  summary: 'have the system start the daemon, and keep it running',
  usage: ['install [--print] [OPTIONS of the daemon]', 'remove'],
  options: {
    print: { type: 'boolean', what: 'show the file for the service manager, and change nothing' },
    ...daemonOptions,
  },
  positionals: { least: 1, most: 1 },
  startsDaemon: false,
  notes: [
    'With systemd (a unit of this user) or launchd (an agent). It starts at login, and again when it fails. Each data\ndirectory has a service of its own; the options are for its daemon, as with "up". They are kept with the device, in\nconfig.json in the data directory, and not in the service’s file, which others can read. Installing again changes\nthose that are given, and is harmless. "remove" keeps the device and its data.',
    'The service runs this very Node and this very script: install it again after you have moved or replaced them.\n"spacedock down" stops it until the next login, or until the system is told to start it.',
  ],
  examples: [
    { line: 'service install', what: 'run from now on' },
    { line: 'service install --dir /srv/lamp --name lamp', what: 'another device, with settings' },
    { line: 'service install --print', what: 'see what would be installed' },
    { line: 'service remove', what: 'stop it, and do not start it any more' },
  ],
  run: async (context) => {
    const { positionals, output, options, dataDir, settings, signal, environment } = context
    const [action = ''] = positionals
    if (action !== 'install' && action !== 'remove') throw noSuchAction()
    const { installService, removeService } = await import('../../daemon/service/service-installation.ts')
    const manager = await managerFor(context)
    const { service: name, path } = manager
    if (action === 'remove') {
      const { outcome } = await removeService(manager)
      const removed = `The service ${name} is stopped and removed. The device and its data stay in ${dataDir}.`
      const text = outcome === 'none' ? `There is no service ${name} to remove.` : removed
      output.result(
        { event: outcome === 'none' ? 'not-installed' : outcome, service: name, path },
        printableLine(text),
      )
      return exitCodes.ok
    }
    if (options.flag('print')) {
      output.result(
        { event: 'service-file', service: name, path, text: manager.file },
        manager.file.trimEnd(),
      )
      return exitCodes.ok
    }
    const { outcome } = await installService(manager, {
      dataDir,
      binPath: environment.binPath,
      settings,
      signal,
    })
    output.result({ event: outcome, service: name, path }, installedText(manager, outcome))
    if (manager.note !== null) output.progress({ event: 'advice' }, manager.note)
    return exitCodes.ok
  },
}

async function managerFor({ dataDir, environment }: CommandContext): Promise<ServiceManager> {
  const [{ planService }, { serviceManager }] = await Promise.all([
    import('../../daemon/service/service-plan.ts'),
    import('../../daemon/service/service-manager.ts'),
  ])
  const usualDataDir = dataDirectory(undefined, { ...process.env, SPACEDOCK_DIR: undefined })
  const { binPath } = environment
  return serviceManager(planService({ dataDir, usualDataDir, nodePath: process.execPath, binPath }))
}

function installedText(
  { service: name, path, showState, showLog }: ServiceManager,
  outcome: 'installed' | 'updated' | 'unchanged',
): string {
  const what = {
    installed: `The service ${name} is installed and runs.`,
    updated: `The service ${name} is installed anew and runs.`,
    unchanged: `The service ${name} is installed already and runs.`,
  }[outcome]
  const rows = [
    ['file', path],
    ['state', showState],
    ['log', showLog],
  ]
  return [
    what,
    ...rows.map(([label = '', value = '']) => `  ${label.padEnd(7)}${printableLine(value)}`),
  ].join('\n')
}

function noSuchAction(): SpacedockError {
  return new SpacedockError('invalid-argument', 'The command "service" takes "install" or "remove".', {
    hint: 'Run "spacedock service --help", which explains both.',
  })
}
