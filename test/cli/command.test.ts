import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test, type TestContext } from 'node:test'
import { callDaemon, isDaemonRunning } from '../../src/daemon/client.ts'
import { acquireLock } from '../../src/store/lock.ts'
import { fakeDigits, fakeWords } from '../daemon/fake-node.ts'

/** Real processes, a real socket, real signals; only the node is a fake. */

const soon = { timeout: 300_000 }
/** Dozens of short processes: compiled once. */
const compileCache = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
after(() => rmSync(compileCache, { recursive: true, force: true }))
const script = join(import.meta.dirname, 'fake-spacedock.ts')

test('a command starts the daemon, says so in one line, and the next finds it running', soon, async (t) => {
  const dir = device(t)
  const first = await run(dir, ['devices', '--json'])
  assert.equal(first.exitCode, 0)
  assert.match(first.stderr, /^[^\n]*Starting the daemon[^\n]*\n$/u)
  assert.deepEqual(lines(first.stdout)[0], {
    id: 'phone00000000000',
    name: 'phone',
    peerId: 'peer-phone',
    state: 'connected',
    path: 'direct',
    limited: false,
    address: '/ip4/127.0.0.1/tcp/4002',
    lastSeen: '2026-01-02T03:04:05.000Z',
    roundTripMs: 1.5,
    connectedSince: '2026-01-02T03:04:00.000Z',
    lastFailure: null,
  })

  const second = await run(dir, ['--json', 'send', 'phone', 'hello'])
  assert.deepEqual(lines(second.stdout), [{ event: 'delivered', id: 'message-1' }])
  assert.equal(second.stderr, '')
  const queued = await run(dir, ['send', 'away', '--json', '--', '--hello'])
  assert.deepEqual([queued.exitCode, lines(queued.stdout)], [0, [{ event: 'queued', id: 'message-1' }]])

  const status = lines((await run(dir, ['status', '--json'])).stdout)[0] ?? {}
  const fields = [
    'running',
    'pid',
    'version',
    'peerId',
    'id',
    'name',
    'listen',
    'devices',
    'uptime',
    'publicNetwork',
    'notices',
    'inbox',
    'log',
    'metricsUrl',
    'metrics',
  ]
  assert.deepEqual(Object.keys(status), fields)
  assert.deepEqual([status['log'], status['metricsUrl']], [join(dir, 'daemon.log'), null])
  assert.equal((await run(dir, ['up'])).exitCode, 0, 'up is content with a daemon that runs')
})

test('what a person should know of is told with the devices, too, beside the result', soon, async (t) => {
  const dir = device(t)
  const { stdout, stderr } = await run(dir, ['devices', '--name', 'cloned'])
  assert.match(stdout, /^phone .*\naway .*\n$/u)
  assert.match(stderr, /^Attention: Another machine has the identity of this device\. Stop one\.$/mu)
  const json = await run(dir, ['devices', '--json'])
  assert.deepEqual(
    lines(json.stdout).map(({ name }) => name),
    ['phone', 'away'],
  )
  assert.deepEqual(lines(json.stderr)[0]?.['code'], 'identity-elsewhere')
})

test('status and down never start the daemon, --no-start forbids it to the others', soon, async (t) => {
  const dir = device(t)
  const results = await Promise.all([
    run(dir, ['status', '--json']),
    run(dir, ['down']),
    run(dir, ['devices', '--no-start']),
    run(dir, ['--json', 'pair', '--yes', '--no-start', '--name', 'x']),
  ])
  assert.deepEqual(
    results.map(({ exitCode }) => exitCode),
    [3, 3, 3, 3],
  )
  assert.deepEqual(lines(results[0].stdout), [{ running: false }])
  assert.equal(lines(results[3].stderr)[0]?.['code'], 'no-daemon')
  assert.equal(existsSync(dir), false, 'nothing was made')
})

test('down returns when the process is gone and the directory free', soon, async (t) => {
  const dir = device(t)
  await run(dir, ['up', '--name', 'slow'])
  assert.deepEqual((await run(dir, ['down'])).exitCode, 0)
  acquireLock(dir).release()
  assert.equal(await isDaemonRunning(dir), false)
  assert.equal((await run(dir, ['up', '--json'])).exitCode, 0)
})

test('two commands that start it at the same time end up with one daemon', soon, async (t) => {
  const dir = device(t)
  const results = await Promise.all([
    run(dir, ['status', '--json']),
    ...[1, 2].map(() => run(dir, ['up', '--json'])),
  ])
  const pids = results.slice(1).map(({ stdout }) => lines(stdout)[0]?.['pid'])
  assert.equal(typeof pids[0], 'number')
  assert.equal(pids[0], pids[1])
})

test('what the start failed with is what the command says', soon, async (t) => {
  const dir = device(t)
  const taken = await run(dir, ['up', '--json', '--port', '1'])
  assert.equal(taken.exitCode, 1)
  assert.equal(taken.stdout, '')
  const { event, code, message, hint } = lines(taken.stderr).at(-1) ?? {}
  assert.deepEqual(
    { event, code, message, hint },
    { event: 'error', code: 'port-taken', message: 'Port 1 is in use.', hint: 'Choose another one.' },
  )
  assert.equal((await run(dir, ['devices'])).exitCode, 0, 'the bad port was not kept')

  const damaged = device(t)
  await run(damaged, ['up'])
  await run(damaged, ['down'])
  writeFileSync(join(damaged, 'config.json'), '{"interfaces":')
  const refused = await run(damaged, ['devices'])
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /^spacedock: .*config\.json is damaged.*\n.*delete it/mu)
})

test(
  'interfaces and port given at the first start hold for the next, as far as they are there',
  soon,
  async (t) => {
    const dir = device(t)
    await run(dir, [
      'devices',
      '--interface',
      'lo',
      '--interface',
      'dummy0',
      '--port',
      '4444',
      '--name',
      'desk',
    ])
    assert.deepEqual((await callDaemon(dir, 'status', {})).listen, [
      '/ip4/127.0.0.1/tcp/4444',
      'lo',
      'dummy0',
    ])
    const ignored = await run(dir, ['devices', '--port', '5555'])
    assert.match(ignored.stderr, /--port had no effect/u)
    await run(dir, ['down'])
    await run(dir, ['up'])
    // The other one is not plugged in now, which keeps nobody from starting; it stays in the configuration.
    assert.deepEqual((await callDaemon(dir, 'status', {})).listen, ['/ip4/127.0.0.1/tcp/4444', 'lo'])
    const kept = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as { interfaces: string[] }
    assert.deepEqual(kept.interfaces, ['lo', 'dummy0'])
    assert.equal(statSync(join(dir, 'config.json')).mode & 0o777, 0o600)
  },
)

test('pair --yes prints the code, then the device, and nothing else', soon, async (t) => {
  const dir = device(t)
  const { exitCode, stdout } = await run(dir, ['pair', '--yes', '--json'])
  assert.equal(exitCode, 0)
  const [code, paired, ...more] = lines(stdout)
  assert.deepEqual(Object.keys(code ?? {}), ['event', 'words', 'uri', 'sessionId', 'expiresAt'])
  assert.equal(code?.['words'], fakeWords)
  assert.deepEqual(paired, {
    event: 'paired',
    device: { id: 'phone00000000000', name: 'phone', peerId: 'peer-phone' },
  })
  assert.deepEqual(more, [])
})

test(
  'after a pairing with another device of the same name: how the new one takes its place',
  soon,
  async (t) => {
    const dir = device(t)
    const up = await run(dir, ['up', '--name', 'host again'])
    assert.equal(up.exitCode, 0, up.stderr)
    const hint = `"away" is not connected. If that was this device before it lost its data, let "away (2)" have the name:
  spacedock revoke away
  spacedock rename "away (2)" away`
    const pairing = await run(dir, ['pair', '--yes'])
    assert.ok(pairing.stderr.endsWith(`${hint}\n`), pairing.stderr)
    const joining = await run(dir, ['join', '-', '--yes', '--json'], fakeWords)
    const { message, ...told } = lines(joining.stderr).at(-1) ?? {}
    assert.equal(message, hint)
    assert.deepEqual(told, {
      event: 'namesake',
      device: { id: 'away (2)00000000', name: 'away (2)', peerId: 'peer-away (2)' },
      namesake: { id: 'away000000000000', name: 'away', peerId: 'peer-away' },
    })
    assert.equal((await run(dir, ['revoke', 'away', '--yes'])).exitCode, 0)
    assert.doesNotMatch((await run(dir, ['pair', '--yes'])).stderr, /rename/u)
  },
)

test('a question with nobody to ask is a usage error before anything begins', soon, async (t) => {
  const dir = device(t)
  for (const line of [
    ['pair'],
    ['join', fakeWords],
    ['join', '-'],
    ['revoke', 'phone'],
    ['pair', '--json'],
  ]) {
    const { exitCode, stdout, stderr } = await run(dir, line, fakeWords)
    assert.equal(exitCode, 2, line.join(' '))
    assert.equal(stdout, '')
    assert.match(stderr, /--yes/u)
  }
  assert.equal(existsSync(dir), false, 'not even a daemon was started')
})

test('a program can answer the question over standard input', soon, async (t) => {
  const dir = device(t)
  for (const [answer, exitCode] of [
    ['yes', 0],
    ['no', 6],
  ] as const) {
    const child = start(dir, ['pair', '--json', '--confirm-on-stdin'])
    let stdout = ''
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      stdout += String(chunk)
      if (stdout.includes('"confirm"')) break
    }
    child.stdin.end(`${answer}\n`)
    child.stdout.resume()
    assert.equal(await exitOf(child), exitCode)
    const question = lines(stdout).find(({ event }) => event === 'confirm')
    assert.deepEqual(question, {
      event: 'confirm',
      name: 'phone',
      digits: fakeDigits,
      id: 'phone00000000000',
    })
  }
})

test('threat 53: an answer that was sent ahead of the question is none', soon, async (t) => {
  const dir = device(t)
  const pairing = await run(dir, ['pair', '--json', '--confirm-on-stdin'], 'yes\nyes\n')
  assert.equal(pairing.exitCode, 6)
  const joining = await run(dir, ['join', '-', '--json', '--confirm-on-stdin'], `${fakeWords}\nyes\n`)
  assert.equal(joining.exitCode, 6)
})

test('threat 17: wrong words are refused here, before anybody is asked', soon, async (t) => {
  const dir = device(t)
  const wrongWord = await run(dir, ['join', '-', '--yes', '--json'], fakeWords.replace('about', 'aboutt'))
  assert.equal(wrongWord.exitCode, 2)
  const error = lines(wrongWord.stderr).at(-1)
  assert.equal(error?.['code'], 'invalid-code')
  assert.match(String(error?.['message']), /12.*about/u)
  assert.equal((await run(dir, ['join', 'one', 'two', '--yes'])).exitCode, 2)
  assert.equal(existsSync(dir), false, 'not even a daemon was started')
})

test('join takes the words from standard input, as arguments, or as a URI', soon, async (t) => {
  const dir = device(t)
  const piped = await run(dir, ['join', '-', '--yes', '--json'], `${fakeWords}\n`)
  assert.equal(lines(piped.stdout).at(-1)?.['event'], 'paired')
  const visible = await run(dir, ['join', ...fakeWords.split(' '), '--yes'])
  assert.equal(visible.exitCode, 0)
  assert.match(visible.stderr, /can see words that are arguments/u)
  const uri = `spacedock:${fakeWords.replaceAll(' ', '-')}`
  assert.equal((await run(dir, ['join', '-', '--yes'], uri)).exitCode, 0)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} cancels the pairing at the daemon and ends with 130`, soon, async (t) => {
    const dir = device(t)
    await run(dir, ['up', '--name', 'lonely'])
    const child = start(dir, ['pair', '--yes', '--json'])
    for await (const chunk of child.stdout) if (String(chunk).includes('"code"')) break
    child.kill(signal)
    assert.equal(await exitOf(child), 130)
    assert.equal((await run(dir, ['status'])).exitCode, 0, 'the daemon goes on')
  })
}

test('a reader of the output that has gone ends the command without complaint', soon, async (t) => {
  const dir = device(t)
  await run(dir, ['up'])
  const child = start(dir, ['pair', '--yes', '--json'])
  child.stdout.destroy()
  assert.equal(await exitOf(child), 0)
})

test('up --foreground logs JSON lines, answers, and ends gracefully on SIGTERM', soon, async (t) => {
  const dir = device(t)
  const child = start(dir, ['up', '--foreground'])
  let log = ''
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    log += String(chunk)
    if (log.includes('daemon.ready')) break
  }
  assert.equal((await run(dir, ['status'])).exitCode, 0)
  const rest = text(child.stderr)
  child.kill('SIGTERM')
  assert.equal(await exitOf(child), 0)
  const events = lines(log + (await rest)).map(({ event }) => event)
  assert.deepEqual(events, ['daemon.ready', 'daemon.stopping', 'fake.closed', 'daemon.stopped'])
  assert.equal(existsSync(join(dir, 'daemon.sock')), false)
})

test('threat 35: the words appear on the screen that shows them and nowhere else', soon, async (t) => {
  const dir = device(t)
  const { stderr } = await run(dir, ['pair', '--yes', '--json'])
  const joined = await run(dir, ['join', '-', '--yes', '--json'], fakeWords)
  await run(dir, ['send', 'phone', 'a confidential text'])
  await run(dir, ['down'])
  const log = readFileSync(join(dir, 'daemon.log'), 'utf8')
  assert.match(log, /daemon\.ready/u)
  for (const output of [stderr, joined.stdout, joined.stderr, log]) {
    assert.doesNotMatch(output, /abandon|confidential/u)
  }
  assert.doesNotMatch(log, new RegExp(fakeDigits, 'u'))
  assert.equal(statSync(join(dir, 'daemon.log')).mode & 0o777, 0o600)
})

test(
  'send gives a time to live, inbox --clear says how many went, outbox how long each waits',
  soon,
  async (t) => {
    const dir = device(t)
    assert.equal((await run(dir, ['send', 'phone', 'hello', '--expires', '2h'])).exitCode, 0)
    assert.equal((await run(dir, ['send', 'phone', 'hello', '--expires', 'never'])).exitCode, 0)
    const soonest = await run(dir, ['send', 'phone', 'hello', '--expires', '2'])
    assert.deepEqual([soonest.exitCode, soonest.stdout], [2, ''])
    const cleared = await run(dir, ['inbox', '--clear', '--json'])
    assert.deepEqual(lines(cleared.stdout), [{ event: 'cleared', removed: 0 }])
    const [waiting] = lines((await run(dir, ['outbox', '--json'])).stdout)
    assert.deepEqual([waiting?.['state'], waiting?.['expiresAt']], ['queued', '2027-01-02T03:04:05.000Z'])
    assert.match((await run(dir, ['outbox'])).stdout, /to away, until 2027-01-0\d .*: \{"lamp":"on"\}/u)
  },
)

test('unknown commands and options end with 2 and what was meant', soon, async (t) => {
  const dir = device(t)
  const command = await run(dir, ['statsu'])
  assert.deepEqual([command.exitCode, command.stdout], [2, ''])
  assert.match(command.stderr, /Did you mean "status"/u)
  assert.equal((await run(dir, [])).exitCode, 2)
  const help = await run(dir, ['help', 'pair'])
  assert.match(help.stdout, /^spacedock pair: /u)
})

interface Finished {
  exitCode: number | null
  stdout: string
  stderr: string
}

async function run(dir: string, line: string[], input = ''): Promise<Finished> {
  const child = start(dir, line)
  child.stdin.end(input)
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exitOf(child),
  ])
  return { exitCode, stdout, stderr }
}

function start(dir: string, line: string[]): ReturnType<typeof spawnPiped> {
  const child = spawnPiped(dir, line)
  child.stdin.on('error', () => undefined) // it may end without reading
  return child
}

function spawnPiped(dir: string, line: string[]) {
  const env = { ...process.env, SPACEDOCK_DIR: dir, NODE_COMPILE_CACHE: compileCache }
  return spawn(process.execPath, [script, ...line], { env, stdio: ['pipe', 'pipe', 'pipe'] })
}

async function exitOf(child: ReturnType<typeof spawnPiped>): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return new Promise((resolve) => void child.once('exit', resolve))
}

/** A data directory that does not exist yet; its daemon is stopped and it is removed after the test. */
function device(t: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
  const dir = join(parent, 'device')
  t.after(async () => {
    await run(dir, ['down'])
    rmSync(parent, { recursive: true, force: true })
  })
  return dir
}

function lines(output: string): Record<string, unknown>[] {
  return output
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
