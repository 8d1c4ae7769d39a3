import type { DaemonSettings } from '../daemon/process.ts'
import type { CreateNode } from '../daemon/run.ts'
import type { DaemonSession } from './daemon-session.ts'
import type { GivenOptions } from './given-options.ts'
import type { Output } from './output.ts'
import type { Person } from './person.ts'

/** One option of the command line. */
export interface OptionSpec {
  type: 'boolean' | 'string'
  /** Whether it may be given several times. */
  multiple?: true
  /** Placeholder of its value in the help, such as `NAME`. */
  value?: string
  short?: string
  /** Line for the help; without it the option is not shown there. */
  what?: string
}

export type OptionTable = Record<string, OptionSpec>

/** One subcommand, the source of the parser, the help and the run. */
export interface Command {
  name: string
  summary: string
  /** Text after the name, one entry for each way of calling it. */
  usage: string[]
  options: OptionTable
  /** Number of words that may stand after the name. */
  positionals: { least: number; most: number }
  /** Whether it starts the daemon, so that the options for that start are allowed too. */
  startsDaemon: boolean
  /** Paragraphs for the help. */
  notes?: string[]
  examples: { line: string; what: string }[]
  /** Resolves with the exit code; rejects with a SpacedockError. */
  run: (context: CommandContext) => Promise<number>
}

export interface CommandContext {
  options: GivenOptions
  positionals: string[]
  dataDir: string
  /** Settings for the daemon's start. */
  settings: DaemonSettings
  daemon: DaemonSession
  output: Output
  person: Person
  /** Aborts on Ctrl-C and SIGTERM. */
  signal: AbortSignal
  environment: CommandEnvironment
}

/** Surroundings of a command; tests hand in their own. */
export interface CommandEnvironment {
  /** Script that this process runs, for starting others like it. */
  binPath: string
  /** Loads the node, only in the process that becomes the daemon: it is most of the program's weight. */
  loadNode: () => Promise<{ createNode: CreateNode }>
}
