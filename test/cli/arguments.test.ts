import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CommandLine, optionsOf, parseCommandLine } from '../../src/cli/arguments.ts'
import { commands } from '../../src/cli/command-list.ts'
import { commandHelp, programHelp } from '../../src/cli/help.ts'

const anywhere = [
  ['join', '--timeout', '5', '--json', '--peer', '/a', '--peer=/b', 'one', 'two'],
  ['--json', '--peer', '/a', 'join', '--timeout=5', 'one', '--peer', '/b', 'two'],
  ['--timeout', '5', '--peer=/a', '--peer=/b', '--json', 'join', 'one', 'two'],
  ['join', 'one', 'two', '--json', '--peer', '/a', '--peer', '/b', '--timeout', '5'],
]
for (const argv of anywhere) {
  test(`options may stand anywhere: ${argv.join(' ')}`, () => {
    const { command, options, positionals } = running(argv)
    assert.equal(command.name, 'join')
    assert.deepEqual(positionals, ['one', 'two'])
    assert.equal(options.flag('json'), true)
    assert.equal(options.flag('yes'), false)
    assert.equal(options.wholeNumber('timeout', 1, 10), 5)
    assert.deepEqual(options.list('peer'), ['/a', '/b'])
  })
}

test('after -- nothing is an option, and a dash alone is none either', () => {
  assert.deepEqual(running(['send', 'phone', '--', '--json']).positionals, ['phone', '--json'])
  assert.deepEqual(running(['send', 'phone', '-']).positionals, ['phone', '-'])
  assert.equal(running(['join', '--', '-']).positionals[0], '-')
})

const mistakes: { line: string[]; message: RegExp; hint: RegExp }[] = [
  { line: [], message: /No command/u, hint: /--help/u },
  { line: ['jion'], message: /"jion"/u, hint: /Did you mean "join"/u },
  { line: ['deivces'], message: /"deivces"/u, hint: /Did you mean "devices"/u },
  { line: ['__proto__'], message: /no command/u, hint: /--help/u },
  { line: ['pair', '--jsno'], message: /--jsno/u, hint: /Did you mean --json/u },
  { line: ['pair', '--constructor'], message: /no option --constructor/u, hint: /"--"/u },
  { line: ['pair', '-5'], message: /no option -5/u, hint: /"--"/u },
  {
    line: ['pair', '--timeout', '5'],
    message: /--timeout is not for "pair"/u,
    hint: /Usage: spacedock pair/u,
  },
  { line: ['down', '--name', 'x'], message: /--name is not for "down"/u, hint: /spacedock down/u },
  { line: ['--yes'], message: /--yes is not for use alone/u, hint: /--help/u },
  { line: ['pair', '--yes=1'], message: /--yes takes no value/u, hint: /Usage/u },
  { line: ['join', '--timeout'], message: /--timeout needs a value/u, hint: /Usage/u },
  { line: ['join', '--timeout', '--json'], message: /--timeout needs a value/u, hint: /--timeout=--json/u },
  { line: ['up', '--name='], message: /--name needs a value/u, hint: /Usage/u },
  { line: ['send', 'phone'], message: /"send" needs more/u, hint: /DEVICE TEXT/u },
  {
    line: ['send', 'phone', 'two', 'words'],
    message: /"send" does not take that much/u,
    hint: /DEVICE TEXT/u,
  },
  { line: ['devices', 'phone'], message: /"devices" does not take/u, hint: /spacedock devices/u },
]
for (const { line, message, hint } of mistakes) {
  test(`a mistake is explained: spacedock ${line.join(' ')}`, () => {
    assert.throws(() => parseCommandLine(line, commands), { code: 'invalid-argument', message, hint })
  })
}

for (const value of ['', '1.5', '-1', '1e3', '0x10', 'ten', '99999']) {
  test(`"${value}" is no port`, () => {
    assert.throws(() => running(['up', `--port=${value}`]).options.wholeNumber('port', 0, 65_535), {
      code: 'invalid-argument',
    })
  })
}

test('--help wins over everything but an unknown option, for the program and each command', () => {
  assert.deepEqual(parseCommandLine(['--help'], commands), { kind: 'help', command: null })
  assert.deepEqual(parseCommandLine(['help'], commands), { kind: 'help', command: null })
  for (const command of commands) {
    for (const line of [
      [command.name, '-h'],
      ['--help', command.name],
      ['help', command.name],
    ]) {
      assert.deepEqual(parseCommandLine(line, commands), { kind: 'help', command })
    }
  }
  assert.deepEqual(parseCommandLine(['--version', '--json'], commands), { kind: 'version', json: true })
})

test('help names every command and every option, and only those that exist', () => {
  const program = programHelp(commands)
  for (const command of commands) {
    assert.match(program, new RegExp(`^ {2}${command.name} +\\S`, 'mu'))
    const help = commandHelp(command)
    for (const [name, { what }] of Object.entries(optionsOf(command))) {
      assert.equal(
        help.includes(`--${name} `) || help.includes(`--${name}\n`),
        what !== undefined,
        `${command.name} --${name}`,
      )
    }
    for (const [, name = ''] of help.matchAll(/ --([a-z-]{2,})/gu)) {
      assert.ok(name in optionsOf(command) || name.startsWith('not-an'), `${command.name}: --${name}`)
    }
    assert.ok(
      help.split('\n').every((line) => line.length <= 120),
      command.name,
    )
    assert.ok(command.examples.every(({ line }) => line.startsWith(command.name)))
  }
})

test('an option means the same in every command', () => {
  const types = new Map<string, string>()
  for (const command of commands) {
    for (const [name, { type, multiple = false }] of Object.entries(optionsOf(command))) {
      const known = types.get(name) ?? `${type} ${multiple}`
      assert.equal(`${type} ${multiple}`, known, name)
      types.set(name, known)
    }
  }
})

function running(argv: string[]): CommandLine & { kind: 'run' } {
  const line = parseCommandLine(argv, commands)
  assert.ok(line.kind === 'run')
  return line
}
