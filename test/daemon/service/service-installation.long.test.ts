import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { callDaemon, isDaemonRunning } from '../../../src/daemon/client.ts'
import { stopDaemon } from '../../../src/daemon/stop.ts'
import { type Finished, runProcess } from '../../lab/process.ts'

/** The real command, a real executable called `systemctl`, and real daemons with a node that has no network. */

const soon = {
  timeout: 300_000,
  skip: process.platform === 'linux' ? false : 'NOT TESTED: systemd is for Linux',
}
const program = join(import.meta.dirname, '../../cli/fake-spacedock.ts')
const fake = join(import.meta.dirname, 'fake-service-manager.ts')
/** Dozens of short processes: compiled once. */
const compileCache = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
after(() => rmSync(compileCache, { recursive: true, force: true }))
/** Each character that means something to systemd. */
const awkwardName = `it's 100% "$HOME" \\n`

test('install, install again, change, remove, remove again', soon, async (t) => {
  const machine = await aMachine(t)
  const { dataDir, unitPath } = machine
  // A daemon that runs already makes way.
  const before = await machine.run(['up', '--json'])
  const { pid } = JSON.parse(before.stdout) as { pid: number }

  const installed = await machine.run(['service', 'install', '--name', 'lamp $HOME', '--json'])
  assert.equal(installed.code, 0, installed.stderr)
  const event = JSON.parse(installed.stdout) as { event: string; service: string; path: string }
  assert.match(event.service, /^spacedock-[0-9a-f]{8}\.service$/u)
  assert.deepEqual(event, { event: 'installed', service: event.service, path: unitPath(event.service) })
  assert.equal(statSync(event.path).mode & 0o777, 0o644)
  assert.deepEqual(machine.calls(), [
    '--user show --property=Version',
    '--user daemon-reload',
    `--user enable ${event.service}`,
    `--user restart ${event.service}`,
  ])
  const status = await callDaemon(dataDir, 'status', {})
  assert.notEqual(status.pid, pid)
  assert.equal(status.name, 'lamp $HOME')

  const again = await machine.run(['service', 'install', '--name', 'lamp $HOME', '--json'])
  assert.equal((JSON.parse(again.stdout) as { event: string }).event, 'unchanged')
  assert.equal((await callDaemon(dataDir, 'status', {})).pid, status.pid, 'it was left alone')

  const changed = await machine.run(['service', 'install', '--name', 'lamp'])
  assert.equal(
    changed.stdout,
    [
      `The service ${event.service} is installed anew and runs.`,
      `  file   ${event.path}`,
      `  state  systemctl --user status ${event.service}`,
      `  log    journalctl --user --unit ${event.service}`,
      '',
    ].join('\n'),
  )
  assert.match(changed.stderr, /loginctl enable-linger/u)
  assert.equal((await callDaemon(dataDir, 'status', {})).name, 'lamp')

  const removed = await machine.run(['service', 'remove', '--json'])
  assert.equal(removed.code, 0, removed.stderr)
  assert.deepEqual(machine.calls().slice(-2), [
    `--user disable --now ${event.service}`,
    '--user daemon-reload',
  ])
  assert.equal(existsSync(event.path), false)
  assert.equal(await isDaemonRunning(dataDir), false)
  assert.ok(existsSync(dataDir), 'the data stays')
  const none = await machine.run(['service', 'remove', '--json'])
  assert.deepEqual([none.code, (JSON.parse(none.stdout) as { event: string }).event], [0, 'not-installed'])
})

test('a relay’s secret is kept with the device, and nowhere that others can read', soon, async (t) => {
  const { dataDir, run, unitPath } = await aMachine(t)
  const secret = 'abcdefghijklmnopqrstuv'
  const address = `/ip4/20.3.4.5/tcp/4111/p2p/12D3KooWNbp5pFHHvDQiAVWNn1ZN6wJGXuMdPJYYiCUbqKZ6Qe2f#${secret}`
  const install = ['service', 'install', '--rendezvous', address, '--json']
  const installed = await run(install)
  assert.equal(installed.code, 0, installed.stderr)
  const { service } = JSON.parse(installed.stdout) as { service: string }
  assert.ok(!readFileSync(unitPath(service), 'utf8').includes(secret))
  const { pid } = await callDaemon(dataDir, 'status', {})
  for (const shown of ['cmdline', 'environ']) {
    assert.ok(!readFileSync(`/proc/${pid}/${shown}`, 'utf8').includes(secret), shown)
  }
  const config = join(dataDir, 'config.json')
  assert.deepEqual((JSON.parse(readFileSync(config, 'utf8')) as { rendezvous: string[] }).rendezvous, [
    address,
  ])
  assert.equal(statSync(config).mode & 0o777, 0o600)

  const again = await run(install)
  assert.equal((JSON.parse(again.stdout) as { event: string }).event, 'unchanged')
  assert.equal((await callDaemon(dataDir, 'status', {})).pid, pid)
})

test(
  'settings that the daemon does not start with are told, and the service goes on as it was',
  soon,
  async (t) => {
    const { dataDir, run } = await aMachine(t)
    assert.equal((await run(['service', 'install', '--name', 'lamp'])).code, 0)
    const { code, stderr } = await run(['service', 'install', '--port', '1'])
    assert.equal(code, 1)
    assert.match(stderr, /^spacedock: Port 1 is in use\.\n/u)
    await until(() => isDaemonRunning(dataDir))
    assert.equal((await callDaemon(dataDir, 'status', {})).name, 'lamp')
  },
)

test('--print shows the file and changes nothing', soon, async (t) => {
  const machine = await aMachine(t)
  const { code, stdout } = await machine.run(['service', 'install', '--print', '--metrics-port', '9464'])
  assert.equal(code, 0)
  assert.match(stdout, /^ExecStart="\/.*" "up" "--foreground" "--dir=[^"]*(?:\\"[^"]*)*"$/mu)
  assert.deepEqual(machine.calls(), [])
  assert.equal(existsSync(machine.dataDir), false)
})

test('what systemd complains about is told', soon, async (t) => {
  const machine = await aMachine(t)
  machine.failAt('enable')
  const { code, stderr } = await machine.run(['service', 'install'])
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^spacedock: The command "systemctl --user enable \S+" failed: Failed to do it: the fake refuses\.\n.*may be repeated\.\n$/u,
  )
  assert.equal(await isDaemonRunning(machine.dataDir), false)
})

test('without systemd, or without one for this user, the error says what to run instead', soon, async (t) => {
  const machine = await aMachine(t)
  machine.failAt('show')
  const unreachable = await machine.run(['service', 'install'])
  assert.match(unreachable.stderr, /^spacedock: The systemd of this user cannot be reached\.\n/u)
  rmSync(machine.systemctl)
  const missing = await machine.run(['service', 'install', '--name', 'lamp'])
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /^spacedock: There is no systemd here to install a service with\.\n/u)
  assert.match(missing.stderr, / up --foreground '--dir=.*'\n$/u)
  assert.equal(existsSync(machine.dataDir), false, 'nothing was made')
})

test(
  'a service that systemd cannot be asked to remove may be removed by hand; where none is, nobody is asked',
  soon,
  async (t) => {
    const machine = await aMachine(t)
    machine.failAt('show')
    const none = await machine.run(['service', 'remove'])
    assert.equal(none.code, 0, none.stderr)
    assert.deepEqual(machine.calls(), [])
    const { service } = JSON.parse((await machine.run(['service', 'remove', '--json'])).stdout) as {
      service: string
    }
    const path = machine.unitPath(service)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, '')
    const unreachable = await machine.run(['service', 'remove'])
    assert.equal(unreachable.code, 1)
    assert.match(
      unreachable.stderr,
      /^spacedock: The systemd of this user cannot be reached\.\n.* or delete \//u,
    )
    rmSync(machine.systemctl)
    const missing = await machine.run(['service', 'remove'])
    assert.match(
      missing.stderr,
      /^spacedock: There is no systemd here to remove a service with\.\n.* or delete \//u,
    )
    assert.equal(existsSync(path), true)
  },
)

test('anything else than install and remove is refused', soon, async (t) => {
  const { run } = await aMachine(t)
  assert.equal((await run(['service', 'start'])).code, 2)
  assert.equal((await run(['service'])).code, 2)
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resume) => void setTimeout(resume, 20))
}

interface Machine {
  dataDir: string
  systemctl: string
  unitPath: (service: string) => string
  run: (args: readonly string[]) => Promise<Finished>
  /** What systemctl was told so far, but for questions whether it is active. */
  calls: () => string[]
  failAt: (verb: string) => void
}

async function aMachine(t: TestContext): Promise<Machine> {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-service-'))
  const at = (name: string): string => join(directory, name)
  const systemctl = join(at('bin'), 'systemctl')
  for (const name of ['bin', 'state', 'config']) mkdirSync(at(name))
  writeFileSync(systemctl, `#!/bin/sh\nexec '${process.execPath}' '${fake}' "$@"\n`, { mode: 0o755 })
  const dataDir = at(awkwardName)
  const env = {
    SPACEDOCK_DIR: undefined,
    XDG_CONFIG_HOME: at('config'),
    FAKE_STATE: at('state'),
    NODE_COMPILE_CACHE: compileCache,
    PATH: at('bin'),
    NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
  }
  const run = (args: readonly string[]): Promise<Finished> =>
    runProcess([process.execPath, program, '--dir', dataDir, ...args], { env, deadlineMs: 120_000 })
  t.after(async () => {
    if (await isDaemonRunning(dataDir)) await stopDaemon(dataDir)
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    dataDir,
    systemctl,
    unitPath: (service) => join(at('config'), 'systemd/user', service),
    run,
    calls: () => {
      const calls = join(at('state'), 'calls')
      if (!existsSync(calls)) return []
      const lines = readFileSync(calls, 'utf8').trimEnd().split('\n')
      return lines.filter((line) => !line.includes(' is-active '))
    },
    failAt: (verb) => writeFileSync(join(at('state'), 'fail'), verb),
  }
}
