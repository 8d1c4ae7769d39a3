import { version } from '../version.ts'
import { SpacedockError } from '../errors.ts'
import { type CommandLine, parseCommandLine } from './arguments.ts'
import type { CommandEnvironment } from './command.ts'
import { commands } from './command-list.ts'
import { DaemonSession } from './daemon-session.ts'
import { daemonSettings } from './daemon-settings.ts'
import { dataDirectory } from './directory-choice.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { commandHelp, programHelp } from './help.ts'
import { type Interruption, listenForInterruption } from './interruption.ts'
import { Output } from './output.ts'
import { Person } from './person.ts'

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
