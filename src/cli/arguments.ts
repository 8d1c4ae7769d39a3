import { parseArgs } from 'node:util'
import { SpacedockError } from '../errors.ts'
import type { Command, OptionSpec, OptionTable } from './command.ts'
import { GivenOptions, type OptionValue } from './given-options.ts'
import { nearest } from '../known-options.ts'

/** Options allowed with every command. */
export const globalOptions: OptionTable = {
  dir: {
    type: 'string',
    value: 'DIR',
    what: 'data directory (or SPACEDOCK_DIR); each one is a device of its own',
  },
  json: { type: 'boolean', what: 'one JSON object a line, for programs' },
  quiet: { type: 'boolean', what: 'no progress and no hints' },
  'no-input': { type: 'boolean', what: 'never ask anything' },
  help: { type: 'boolean', short: 'h', what: 'show help' },
  version: { type: 'boolean', what: 'show the version' },
}

/** Options allowed with every command that starts the daemon when none runs; they are for that start. */
export const startOptions: OptionTable = {
  name: { type: 'string', value: 'NAME', what: 'this device’s name on other screens' },
  interface: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    what: 'network interface to use, may be repeated; "all" for every usable one (kept)',
  },
  port: { type: 'string', value: 'N', what: 'TCP port to listen on; 0 for one of its own choice (kept)' },
  announce: {
    type: 'string',
    value: 'MULTIADDR',
    multiple: true,
    what: 'where others reach it by a forwarded port, may be repeated; "none" for nowhere (kept)',
  },
  'port-mapping': {
    type: 'string',
    value: 'on|off',
    what: '"off": do not ask the router by UPnP to pass connections on (kept)',
  },
  rendezvous: {
    type: 'string',
    value: 'ADDR',
    multiple: true,
    what: 'rendezvous node to meet other networks’ devices by, may be repeated; "none" for none (kept)',
  },
  'lan-only': {
    type: 'boolean',
    what: 'use the local network alone, until --rendezvous or --dht is given (kept)',
  },
  dht: {
    type: 'string',
    value: 'WHICH',
    what: '"private", of the rendezvous nodes, or "public", libp2p’s (kept)',
  },
  mdns: {
    type: 'string',
    value: 'on|off',
    what: '"off": neither be found nor find others on the local network by multicast DNS (kept)',
  },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    what: 'least that is logged: "debug", "info", "warn" or "error"; without it, "info" (kept)',
  },
  'metrics-port': {
    type: 'string',
    value: 'N',
    what: 'serve counters to a Prometheus on this machine, at this port; 0 for no longer (kept)',
  },
  'no-start': { type: 'boolean', what: 'fail when the daemon does not run' },
}

export type CommandLine =
  | { kind: 'run'; command: Command; options: GivenOptions; positionals: string[] }
  | { kind: 'help'; command: Command | null }
  | { kind: 'version'; json: boolean }

/**
 * Parses the command line. Options may stand anywhere, `--` ends them. Throws `invalid-argument` with what was probably meant.
 */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): CommandLine {
  const everyOption = Object.assign(
    {},
    globalOptions,
    startOptions,
    ...commands.map(({ options }) => options),
  ) as OptionTable
  const { tokens } = parseArgs({
    args: [...argv],
    options: parserOptions(everyOption),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const words = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []))
  const [name, ...positionals] = words[0] === 'help' ? words.slice(1) : words
  const command = name === undefined ? null : findCommand(name, commands)
  const allowed = command === null ? globalOptions : optionsOf(command)

  const values = new Map<string, OptionValue>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const spec = checkOption(token, allowed, everyOption, command)
    const value = token.value ?? true
    if (spec.multiple === true) values.set(token.name, [...asList(values.get(token.name)), String(value)])
    else values.set(token.name, value)
  }

  const options = new GivenOptions(values)
  if (options.flag('help') || words[0] === 'help') return { kind: 'help', command }
  if (options.flag('version')) return { kind: 'version', json: options.flag('json') }
  if (command === null) throw usageError('No command was given.', null)
  const { least, most } = command.positionals
  if (positionals.length < least)
    throw usageError(`The command "${command.name}" needs more than that.`, command)
  if (positionals.length > most)
    throw usageError(`The command "${command.name}" does not take that much.`, command)
  return { kind: 'run', command, options, positionals }
}

export function optionsOf(command: Command): OptionTable {
  return { ...command.options, ...(command.startsDaemon ? startOptions : {}), ...globalOptions }
}

interface OptionToken {
  name: string
  rawName: string
  value?: string | undefined
  inlineValue?: boolean | undefined
}

function checkOption(
  { name, rawName, value, inlineValue }: OptionToken,
  allowed: OptionTable,
  everyOption: OptionTable,
  command: Command | null,
): OptionSpec {
  const spec = Object.hasOwn(allowed, name) ? allowed[name] : undefined
  if (spec === undefined) {
    if (Object.hasOwn(everyOption, name))
      throw usageError(
        `The option ${rawName} is not for ${command === null ? 'use alone' : `"${command.name}"`}.`,
        command,
      )
    const meant = nearest(
      name,
      Object.keys(allowed).filter((candidate) => allowed[candidate]?.what !== undefined),
    )
    const dash = 'A text that begins with a dash goes after "--".'
    throw usageError(
      `There is no option ${rawName}.`,
      command,
      meant === null ? dash : `Did you mean --${meant}?`,
    )
  }
  if (spec.type === 'boolean' && value !== undefined)
    throw usageError(`The option ${rawName} takes no value.`, command)
  if (spec.type === 'string') {
    if (value === undefined || value === '') throw usageError(`The option ${rawName} needs a value.`, command)
    if (inlineValue === false && value.startsWith('-') && value !== '-') {
      throw usageError(
        `The option ${rawName} needs a value.`,
        command,
        `Write ${rawName}=${value} if that is the value.`,
      )
    }
  }
  return spec
}

function findCommand(name: string, commands: readonly Command[]): Command {
  const command = commands.find((candidate) => candidate.name === name)
  if (command !== undefined) return command
  const meant = nearest(
    name,
    commands.map((candidate) => candidate.name),
  )
  throw usageError(
    `There is no command "${name}".`,
    null,
    meant === null ? undefined : `Did you mean "${meant}"?`,
  )
}

function usageError(message: string, command: Command | null, hint?: string): SpacedockError {
  return new SpacedockError('invalid-argument', message, { hint: hint ?? usageHint(command) })
}

function usageHint(command: Command | null): string {
  if (command === null) return 'Run "spacedock --help" for all commands.'
  const ways = command.usage.map((way) => `spacedock ${command.name} ${way}`.trim())
  return `Usage: ${ways.join(' | ')}; "spacedock ${command.name} --help" explains it.`
}

function parserOptions(
  table: OptionTable,
): Record<string, { type: 'boolean' | 'string'; multiple: boolean; short?: string }> {
  return Object.fromEntries(
    Object.entries(table).map(([name, { type, multiple = false, short }]) => [
      name,
      { type, multiple, ...(short === undefined ? {} : { short }) },
    ]),
  )
}

function asList(value: OptionValue | undefined): string[] {
  return Array.isArray(value) ? value : []
}
