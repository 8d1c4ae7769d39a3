import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

/** The program as it is installed, with the real node. */

const program = join(import.meta.dirname, '../../bin/spacedock.js')

test('a Node that is too old is told so in one sentence', async () => {
  for (const found of ['8.17.0', '20.20.2', '22.12.0']) {
    const { exitCode, stdout, stderr } = await run([...pretend(found), program, 'status'])
    assert.equal(exitCode, 1)
    assert.equal(stdout, '')
    assert.equal(stderr, `spacedock: Node 22.13 or later is needed, and this is Node ${found}.\n`)
  }
  for (const found of ['22.13.0', '24.0.0', '100.0.0']) {
    assert.equal((await run([...pretend(found), program, '--version'])).exitCode, 0, found)
  }
})

test('the first file is in a syntax that every Node can read', () => {
  const source = readFileSync(program, 'utf8')
  assert.doesNotMatch(source, /\b(?:const|let|class|async|await)\b|=>|`|\?\.|\?\?|^import |^export /mu)
})

test('the command itself loads nothing of the node: neither libp2p nor the database', async (t) => {
  const directory = temporaryDirectory(t)
  const hooks = join(directory, 'hooks.mjs')
  writeFileSync(
    hooks,
    `import { registerHooks } from 'node:module'
     const resolve = (specifier, context, next) => {
       const found = next(specifier, context)
       console.error(found.url)
       return found
     }
     registerHooks({ resolve })`,
  )
  const { stderr } = await run(['--import', hooks, program, 'status', '--dir', join(directory, 'none')])
  assert.match(stderr, /cli/u)
  assert.doesNotMatch(
    stderr,
    /libp2p|node:sqlite|src\/(?:node|network|protocols|pairing\/(?!edit-distance))/u,
  )
})

test('warnings stay, but not the one about SQLite', async (t) => {
  const warn = `data:text/javascript,process.on('exit', () => 0); setTimeout(() => { process.emitWarning('SQLite is an experimental feature', 'ExperimentalWarning'); process.emitWarning('something else', 'ExperimentalWarning') }, 0)`
  const { stderr } = await run(
    ['--import', warn, program, 'join', '-', '--no-start', '--yes', '--dir', temporaryDirectory(t)],
    {},
    300,
  )
  assert.match(stderr, /something else/u)
  assert.doesNotMatch(stderr, /SQLite/u)
})

test('demo: two devices pair, talk and part, and nothing is left', { timeout: 300_000 }, async (t) => {
  const directory = temporaryDirectory(t)
  const { exitCode, stdout, stderr } = await run([program, 'demo', '--json'], { TMPDIR: directory })
  assert.equal(exitCode, 0, stderr)
  const events = lines(stdout)
  const names = events.map(({ event }) => event).filter((event) => event !== 'no-multicast')
  const pairing = ['code', 'joining', 'digits', 'paired']
  assert.deepEqual(names, [
    'begin',
    'started',
    'started',
    ...pairing,
    'delivered',
    'delivered',
    'pong',
    'revoked',
    'disconnected',
    'done',
  ])
  assertNothingIsLeft(directory, events)
})

test('demo: Ctrl-C in the middle leaves nothing either', { timeout: 300_000 }, async (t) => {
  const directory = temporaryDirectory(t)
  const child = start([program, 'demo', '--json'], { TMPDIR: directory })
  let stdout = ''
  for await (const chunk of child.stdout) {
    stdout += String(chunk)
    if (stdout.includes('"joining"')) child.kill('SIGINT')
  }
  assert.equal(await exitOf(child), 130)
  assertNothingIsLeft(directory, lines(stdout))
})

/** Options that make Node say it is another version. */
function pretend(found: string): string[] {
  return [
    '--import',
    `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${found}' })`,
  ]
}

function assertNothingIsLeft(directory: string, events: Record<string, unknown>[]): void {
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('spacedock-demo')),
    [],
  )
  const pids = events.flatMap(({ pid }) => (typeof pid === 'number' ? [pid] : []))
  assert.equal(pids.length, 2)
  assert.ok(pids.every((pid) => !isRunning(pid)))
}

/** Ended processes that nobody collects do not count. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return process.platform !== 'linux' || !/^State:\s*Z/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

async function run(line: string[], environment: NodeJS.ProcessEnv = {}, closeStdinAfterMs = 0) {
  const child = start(line, environment)
  setTimeout(() => child.stdin.end(), closeStdinAfterMs)
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exitOf(child),
  ])
  return { exitCode, stdout, stderr }
}

function start(line: string[], environment: NodeJS.ProcessEnv) {
  return spawn(process.execPath, line, {
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

async function exitOf(child: ReturnType<typeof start>): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return new Promise((resolve) => void child.once('exit', resolve))
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function lines(output: string): Record<string, unknown>[] {
  const found = output
    .trim()
    .split('\n')
    .filter((line) => line !== '')
  return found.map((line) => JSON.parse(line) as Record<string, unknown>)
}
