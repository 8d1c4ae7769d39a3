import { version } from '../version.ts'
import { SpacedockError } from '../errors.ts'
import { type CommandLine, parseCommandLine } from './arguments.ts'
import type { CommandEnvironment } from './command.ts'
import { commands } from './command-list.ts'
import { DaemonSession } from './daemon-session.ts'
import { dataDirectory } from './directory-choice.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import type { GivenOptions } from './given-options.ts'
import { commandHelp, programHelp } from './help.ts'
import { type Interruption, listenForInterruption } from './interruption.ts'
import { Output } from './output.ts'
import { Person } from './person.ts'
import { logLevels } from '../daemon/log.ts'
import type { DaemonSettings } from '../daemon/process.ts'

export type { CommandEnvironment } from './command.ts'

/** Runs the command once: reads the command line, runs it, tells the error. Resolves with the exit code. */
export async function main(
  argv: readonly string[],
  environment: Pick<CommandEnvironment, 'binPath'> & Partial<CommandEnvironment>,
): Promise<number> {
  const { stdout, stderr } = process
  const asked = { json: argv.includes('--json'), quiet: argv.includes('--quiet') }
  const output = new Output({ stdout, stderr, ...asked })
  let line: CommandLine
  try {
    line = parseCommandLine(argv, commands)
  } catch (error) {
    return reportError(error, output)
  }
  switch (line.kind) {
    case 'help':
      stdout.write(line.command === null ? programHelp(commands) : commandHelp(line.command))
      return exitCodes.ok
    case 'version':
      output.result({ version }, version)
      return exitCodes.ok
    case 'run':
      return run(line, { loadNode: () => import('../node.ts'), ...environment })
  }
}

async function run(line: CommandLine & { kind: 'run' }, environment: CommandEnvironment): Promise<number> {
  const { command, options, positionals } = line
  const { stdin, stdout, stderr } = process
  const output = new Output({ stdout, stderr, json: options.flag('json'), quiet: options.flag('quiet') })
  // A daemon in the foreground minds its signals itself.
  const interruption = options.flag('foreground') ? null : listenForInterruption()
  const { signal } = interruption ?? new AbortController()
  const interrupt = (): void => interruption?.interrupt()
  const person = new Person({ stdin, stderr, output, mayAsk: !options.flag('no-input'), interrupt })
  try {
    const { binPath } = environment
    const dataDir = dataDirectory(options.text('dir'))
    const settings = daemonSettings(options)
    const mayStart = command.startsDaemon && !options.flag('no-start')
    const daemon = new DaemonSession({ dataDir, binPath, settings, mayStart, output, signal })
    return await command.run({
      options,
      positionals,
      dataDir,
      settings,
      daemon,
      output,
      person,
      signal,
      environment,
    })
  } catch (error) {
    output.status('')
    const exitCode = interrupted(interruption) ?? reportError(error, output)
    // Open handles of a node that could not start must not keep the process.
    if (options.flag('foreground')) process.exit(exitCode)
    return exitCode
  } finally {
    output.status('')
    person.leave()
    interruption?.stopListening()
  }
}

function daemonSettings(options: GivenOptions): DaemonSettings {
  const name = options.text('name')
  const interfaces = options.list('interface')
  const port = options.wholeNumber('port', 0, 65_535)
  const announce = options.list('announce')
  const portMapping = options.choice('port-mapping', ['on', 'off'])
  const rendezvous = options.list('rendezvous')
  const dht = options.choice('dht', ['private', 'public'])
  const mdns = options.choice('mdns', ['on', 'off'])
  const logLevel = options.choice('log-level', logLevels)
  const metricsPort = options.wholeNumber('metrics-port', 0, 65_535)
  return {
    ...(name === undefined ? {} : { name }),
    ...(interfaces.length === 0 ? {} : { interfaces }),
    ...(port === undefined ? {} : { port }),
    ...(announce.length === 0 ? {} : { announce }),
    ...(portMapping === undefined ? {} : { portMapping: portMapping === 'on' }),
    ...(rendezvous.length === 0 ? {} : { rendezvous }),
    ...(options.flag('lan-only') ? { lanOnly: true } : {}),
    ...(dht === undefined ? {} : { dht }),
    ...(mdns === undefined ? {} : { mdns: mdns === 'on' }),
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(metricsPort === undefined ? {} : { metricsPort }),
  }
}

function interrupted(interruption: Interruption | null): number | null {
  return interruption?.exitCode ?? null
}

function reportError(error: unknown, output: Output): number {
  if (error instanceof SpacedockError) {
    output.error(error)
    return exitCodeOf(error.code)
  }
  const message = error instanceof Error ? error.message : String(error)
  output.error(
    new SpacedockError('internal', `Spacedock met a defect of its own (${message}).`, {
      hint: 'Please report it, with what you did.',
    }),
  )
  return exitCodes.failure
}
