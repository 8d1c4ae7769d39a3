import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { launchdAgent, launchdLabel } from '../../../src/daemon/service/launchd-agent.ts'
import { serviceManager } from '../../../src/daemon/service/service-manager.ts'
import { planService, type ServiceOptions } from '../../../src/daemon/service/service-plan.ts'
import { systemdUnit } from '../../../src/daemon/service/systemd-unit.ts'
import { parseExecStart } from './unit-file.ts'

const usual: ServiceOptions = {
  dataDir: '/home/alice/.local/share/spacedock',
  usualDataDir: '/home/alice/.local/share/spacedock',
  nodePath: '/usr/bin/node',
  binPath: '/usr/lib/node_modules/spacedock/bin/spacedock.js',
}

/** Each character that means something to systemd, to XML or to a shell. */
const awkward = [
  'with spaces',
  ' at the ends ',
  '100%',
  '%h/%n',
  '$HOME',
  '$$',
  '${HOME}',
  '"double"',
  "'single'",
  'back\\slash',
  '\\',
  '\\n',
  'a;b',
  '; rm',
  '#',
  '<&>',
  ']]>',
  '-->',
  '`id`',
  '*',
  'ünï🚀',
  '',
]

for (const text of awkward) {
  test(`a unit and an agent hand over exactly what they were given: ${JSON.stringify(text)}`, () => {
    const plan = planService({
      ...usual,
      dataDir: `/data/${text}`,
      nodePath: `/opt/${runnable(text)}/node`,
      binPath: `/opt/${text}/spacedock.js`,
    })
    const expected = [
      `/opt/${runnable(text)}/node`,
      `/opt/${text}/spacedock.js`,
      'up',
      '--foreground',
      `--dir=/data/${text}`,
    ]
    assert.deepEqual(plan.command, expected)
    assert.deepEqual(parseExecStart(systemdUnit(plan), { HOME: '/root' }), expected)
    assert.deepEqual(argumentsOf(launchdAgent(plan)), expected)
  })
}

test('whatever can be in a path arrives as it is', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab %$"\'\\{};#<>&n~'.split('')) })
  fc.assert(
    fc.property(text, text, (program, argument) => {
      const plan = planService({ ...usual, nodePath: `/${runnable(program)}`, dataDir: `/${argument}` })
      assert.deepEqual(parseExecStart(systemdUnit(plan), {}), plan.command)
      assert.deepEqual(argumentsOf(launchdAgent(plan)), plan.command)
    }),
  )
})

for (const text of ['line\nExecStartPre=/bin/evil', 'tab\t', '\u0000', '\u0085', '\ud800']) {
  test(`control characters are refused: ${JSON.stringify(text)}`, () => {
    for (const options of [{ dataDir: `/${text}` }, { binPath: `/${text}` }]) {
      assert.throws(() => planService({ ...usual, ...options }), { code: 'invalid-argument' })
    }
  })
}

test('a program that systemd would not run is refused', () => {
  for (const text of ['"', "'", '\\']) {
    const plan = planService({ ...usual, nodePath: `/opt/${text}/node` })
    assert.throws(() => systemdUnit(plan), { code: 'invalid-argument' })
  }
})

test('the usual data directory has the plain name, every other one its own', () => {
  assert.equal(planService(usual).name, 'spacedock')
  const names = ['/a', '/b'].map((dataDir) => planService({ ...usual, dataDir }).name)
  assert.match(names[0] ?? '', /^spacedock-[0-9a-f]{8}$/u)
  assert.notEqual(names[0], names[1])
  assert.equal(launchdLabel({ name: 'spacedock' }), 'org.spacedock.spacedock')
})

test('an agent restarts what failed, and logs to the file that the daemon keeps small', () => {
  const agent = launchdAgent(planService(usual))
  assert.match(agent, /<key>SuccessfulExit<\/key>\s*<false\/>/u)
  assert.match(agent, /<key>RunAtLoad<\/key>\s*<true\/>/u)
  assert.match(agent, /<key>StandardErrorPath<\/key>\s*<string>\/home\/alice\/\S+\/daemon\.log<\/string>/u)
})

for (const platform of ['win32', 'freebsd'] as const) {
  test(`on ${platform} the error says what to run instead`, () => {
    const plan = planService({ ...usual, dataDir: "/it's here" })
    assert.throws(() => serviceManager(plan, platform), {
      code: 'service-failed',
      message: /has neither\.$/u,
      hint: /: \/usr\/bin\/node \S+ up --foreground '--dir=\/it'\\''s here'$/u,
    })
  })
}

const noAnalyzer = ((): string | false => {
  try {
    execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'NOT TESTED: there is no systemd-analyze here'
  }
})()

test('systemd finds no fault with the units', { skip: noAnalyzer, timeout: 300_000 }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-units-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const units = awkward.map((text, number) => {
    // The program must be there: so its path is read as it is meant.
    const programs = join(directory, `bin ${runnable(text).replaceAll('/', '')}${number}`)
    mkdirSync(programs)
    symlinkSync(process.execPath, join(programs, 'node'))
    const plan = planService({
      ...usual,
      nodePath: join(programs, 'node'),
      dataDir: `/data/${text}`,
    })
    const unit = join(directory, `spacedock-${number}.service`)
    writeFileSync(unit, systemdUnit(plan))
    return unit
  })
  const verify = ['verify', '--user', '--man=no', '--recursive-errors=no']
  const env = { ...process.env, XDG_RUNTIME_DIR: directory, SYSTEMD_LOG_LEVEL: 'warning' }
  const said = execFileSync('systemd-analyze', [...verify, ...units], {
    encoding: 'utf8',
    env,
    stdio: 'pipe',
  })
  assert.equal(said, '')
})

/** systemd runs no program whose path has one of these, however it is written. */
function runnable(text: string): string {
  return text.replaceAll(/["'\\]/gu, '')
}

/** The strings of ProgramArguments, as an XML parser reads them. */
function argumentsOf(agent: string): string[] {
  const array =
    /<key>ProgramArguments<\/key>\s*<array>(?<array>.*?)<\/array>/su.exec(agent)?.groups?.['array'] ?? ''
  return [...array.matchAll(/<string>(?<text>.*?)<\/string>/gsu)].map(({ groups }) => {
    const text = groups?.['text'] ?? ''
    assert.doesNotMatch(text, /[<>]/u)
    return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
  })
}
