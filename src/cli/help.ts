import { globalOptions, startOptions } from './arguments.ts'
import type { Command, OptionTable } from './command.ts'

/** Help of the program, made from the table that the parser goes by. */
export function programHelp(commands: readonly Command[]): string {
  return [
    'spacedock: pair your own devices with twelve words and keep them talking.',
    section('Usage', ['spacedock COMMAND [OPTIONS]']),
    section('Commands', columns(commands.map(({ name, summary }) => [name, summary]))),
    section('Options of every command', columns(optionRows(globalOptions))),
    section('Examples', [
      'spacedock demo                  see it work on this machine alone',
      'spacedock pair                  on one device',
      'spacedock join                  on the other',
      'spacedock send phone "hello"',
    ]),
    'A daemon in the background does the work; the first command that needs it starts it.',
    'Help for one command: spacedock COMMAND --help',
    '',
  ].join('\n\n')
}

export function commandHelp(command: Command): string {
  const parts = [
    `spacedock ${command.name}: ${command.summary}.`,
    section(
      'Usage',
      command.usage.map((way) => `spacedock ${command.name} ${way}`.trim()),
    ),
    ...(command.notes ?? []),
  ]
  if (optionRows(command.options).length > 0)
    parts.push(section('Options', columns(optionRows(command.options))))
  if (command.startsDaemon) {
    parts.push(section('Options for the daemon, when this starts it', columns(optionRows(startOptions))))
  }
  parts.push(section('Options of every command', columns(optionRows(globalOptions))))
  if (command.examples.length > 0) {
    parts.push(
      section('Examples', columns(command.examples.map(({ line, what }) => [`spacedock ${line}`, what]))),
    )
  }
  return `${parts.join('\n\n')}\n`
}

function optionRows(table: OptionTable): string[][] {
  return Object.entries(table).flatMap(([name, { what, value, short }]) =>
    what === undefined
      ? []
      : [
          [
            `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
            what,
          ],
        ],
  )
}

function section(title: string, lines: string[]): string {
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

function columns(rows: string[][]): string[] {
  const width = Math.max(0, ...rows.map(([left = '']) => left.length))
  return rows.map(([left = '', right = '']) => `${left.padEnd(width)}  ${right}`.trimEnd())
}
