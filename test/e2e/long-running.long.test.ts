import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DaemonMetrics } from '../../src/daemon/prometheus.ts'
import { mostDefectsPerMinute } from '../../src/daemon/defects.ts'
import { localPlace } from '../device.ts'
import { type Finished, runProcess, RunningProcess } from '../lab/process.ts'

/** What a daemon does that runs for years: real processes, and faults from outside. */

const soon = { timeout: 300_000 }
const program = fileURLToPath(new URL('faulty-device.ts', import.meta.url))
const interfaces = (localPlace().interfaces ?? []).map((name) => `--interface=${name}`)
const words = 'legal winner thank year wave sausage worth useful legal winner thank yellow'

describe('a daemon that runs for years', { concurrency: 2 }, () => {
  const directories: string[] = []
  after(async () => {
    for (const daemon of daemons) daemon.kill('SIGKILL')
    await Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true })))
  })

  test('survives what nobody caught, logs it without secrets, counts and shows it', soon, async () => {
    const dataDir = await newDirectory()
    const metricsPort = await freePort()
    const daemon = await up(dataDir, [`--metrics-port=${metricsPort}`])
    daemon.write(`the words are ${words}\n`)
    daemon.write('thrown a second time\n')
    daemon.write('reject: a promise that nobody awaits\n')
    const thrown = await logged(daemon, 'daemon.uncaught-exception')
    assert.match(String(thrown['error']), /^Error: \[redacted\] at .*faulty-device\.ts/u)
    const rejected = await logged(daemon, 'daemon.unhandled-rejection')
    assert.match(String(rejected['error']), /^TypeError: reject: a promise that nobody awaits/u)
    assert.equal(rejected['level'], 'error')
    assert.doesNotMatch(daemon.stderr, /sausage|yellow/u)

    assert.equal((await metricsOf(dataDir)).defects, 3)
    const shown = await run(dataDir, ['status'])
    assert.match(shown.stdout, /^defects {3}3 survived; please report them, with the log$/mu)
    assert.match(shown.stdout, /^log {7}standard error of its process$/mu)
    const url = /^metrics +(?<url>http:\S+)$/mu.exec(shown.stdout)?.groups?.['url'] ?? ''
    assert.equal(url, `http://127.0.0.1:${metricsPort}/metrics`)
    const scraped = await (await fetch(url)).text()
    assert.match(scraped, /^spacedock_defects_total 3$/mu)
    assert.match(scraped, /^spacedock_pairings_total\{role="initiator",outcome="paired"\} 0$/mu)
    const { peerId, id, name } = JSON.parse((await run(dataDir, ['status', '--json'])).stdout) as {
      peerId: string
      id: string
      name: string
    }
    for (const secret of [peerId, id, name, dataDir]) assert.ok(!scraped.includes(secret), secret)
    assert.equal((await run(dataDir, ['down'])).code, 0)
    assert.equal((await daemon.exited).code, 0)
    await assert.rejects(fetch(url), 'the endpoint ends with the daemon')
  })

  test('ends in order, with exit code 1, when defects come again and again', soon, async () => {
    const dataDir = await newDirectory()
    const daemon = await up(dataDir)
    daemon.write('again\n'.repeat(mostDefectsPerMinute))
    const isLogged = (): true | undefined =>
      defectsIn(daemon.stderr) === mostDefectsPerMinute ? true : undefined
    await daemon.until(isLogged, 60_000)
    assert.equal((await metricsOf(dataDir)).defects, mostDefectsPerMinute)
    daemon.write('once too often\n'.repeat(50))
    const { code } = await daemon.exited
    assert.equal(code, 1)
    await logged(daemon, 'daemon.too-many-defects')
    await logged(daemon, 'daemon.stopped')
    assert.equal(defectsIn(daemon.stderr), mostDefectsPerMinute + 1, 'the rest is not logged')
  })

  test('does not start half, in the background and in the foreground', soon, async () => {
    const dataDir = await newDirectory()
    const [inBackground, inForeground] = await Promise.all([
      run(dataDir, ['up', '--json', ...interfaces], { FAULT_AT_START: 'what nobody caught' }),
      run(await newDirectory(), ['up', '--foreground'], { FAULT_AT_START: 'reject what nobody awaits' }),
    ])
    assert.equal(inBackground.code, 1)
    const error = JSON.parse(inBackground.stderr.trimEnd().split('\n').at(-1) ?? '') as { code: string }
    assert.equal(error.code, 'internal')
    assert.match(await readFile(join(dataDir, 'daemon.log'), 'utf8'), /"event":"daemon\.start-failed"/u)
    assert.equal(inForeground.code, 1)
    assert.match(inForeground.stderr, /^spacedock: Spacedock met a defect of its own \(reject what/mu)
  })

  test(
    'logs as much as it is told, to a file that may be removed meanwhile, and says where',
    soon,
    async () => {
      const dataDir = await newDirectory()
      const log = join(dataDir, 'daemon.log')
      const started = await run(dataDir, ['up', '--log-level=error', ...interfaces])
      assert.equal(started.code, 0, started.stderr)
      assert.equal(await readFile(log, 'utf8'), '', 'nothing went wrong')
      assert.match((await run(dataDir, ['status'])).stdout, new RegExp(`^log {7}${log}$`, 'mu'))
      const down = await run(dataDir, ['down'])
      assert.equal(down.stdout, `Spacedock is stopped. Its log is ${log}.\n`)
      assert.match((await run(dataDir, ['status'])).stdout, new RegExp(`^Its last log is ${log}\\.$`, 'mu'))

      assert.equal((await run(dataDir, ['up', '--log-level=info'])).code, 0)
      assert.match(await readFile(log, 'utf8'), /"event":"daemon\.ready"/u)
      await rm(log)
      await run(dataDir, ['down'])
      const afterwards = await readFile(log, 'utf8')
      assert.match(afterwards, /"event":"daemon\.stopped"/u)
      assert.doesNotMatch(afterwards, /daemon\.ready/u)
      assert.equal((await stat(log)).mode & 0o777, 0o600)
    },
  )

  async function newDirectory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'spacedock-years-'))
    directories.push(directory)
    return directory
  }
})

const daemons: RunningProcess[] = []

/** In the foreground, so that its standard input is ours. */
async function up(dataDir: string, args: readonly string[] = []): Promise<RunningProcess> {
  const daemon = new RunningProcess(commandLine(dataDir, ['up', '--foreground', ...interfaces, ...args]), {
    env: environment,
  })
  daemons.push(daemon)
  await logged(daemon, 'daemon.ready')
  return daemon
}

async function logged(daemon: RunningProcess, event: string): Promise<Record<string, unknown>> {
  const fits = (line: string): boolean => line.includes(`"event":"${event}"`)
  return JSON.parse(await daemon.line(fits, { stream: 'stderr', deadlineMs: 60_000 })) as Record<
    string,
    unknown
  >
}

function defectsIn(log: string): number {
  return log.split('"event":"daemon.uncaught-exception"').length - 1
}

async function metricsOf(dataDir: string): Promise<DaemonMetrics> {
  const { stdout } = await run(dataDir, ['status', '--json'])
  return (JSON.parse(stdout) as { metrics: DaemonMetrics }).metrics
}

async function run(
  dataDir: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  return runProcess(commandLine(dataDir, args), { env: { ...environment, ...env }, deadlineMs: 120_000 })
}

const environment = { SPACEDOCK_DIR: undefined, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' }

function commandLine(dataDir: string, args: readonly string[]): string[] {
  return [process.execPath, program, '--dir', dataDir, ...args]
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => void server.close(resolve))
  return port
}
