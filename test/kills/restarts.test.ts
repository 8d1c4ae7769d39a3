import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Said, Told } from './living-application.ts'

/**
 * Two applications in processes of their own, which are started again and again, at once: both dial, and both use what comes up
 * first. More of it:
 *
 *     SPACEDOCK_TEST_RESTARTS=100 node --test test/kills/restarts.test.ts
 */
const restarts = Number(process.env['SPACEDOCK_TEST_RESTARTS'] ?? 12)
const timeout = 60_000 + restarts * 30_000
/** Longer than a session that is refused was given once. */
const quietMs = 2_000
/** In which whoever waits for a device that is gone has to be told: nine seconds on a machine that has time. */
const patienceMs = 30_000
/** Only a process that is stuck takes so long to say something. */
const hearingMs = 120_000

test(
  'two processes that start at once cut nothing; when one ends, the other is told',
  { timeout },
  async (context) => {
    await using alice = await Application.make('alice')
    await using bob = await Application.make('bob')
    await Promise.all([alice.start(), bob.start()])
    alice.tell({ tell: 'pair' })
    const { words } = await alice.hear('words')
    bob.tell({ tell: 'join', words, peers: alice.listen })
    await Promise.all([alice.hear('paired'), bob.hear('paired')])

    const totals = { restarts: 0, 'of both': 0, answered: 0, echoed: 0, told: 0, cut: 0 }
    let slowestMs = 0
    for (let round = 0; round < restarts; round++) {
      // Each has its own stream by now, on whichever session was there when it opened it.
      await Promise.all([alice.hear('holding'), bob.hear('holding')])
      await wait(quietMs)
      for (const each of [alice, bob]) {
        const { answered, echoed } = await each.count()
        totals.answered += answered
        totals.echoed += echoed
        totals.cut += each.mishaps.length
        assert.deepEqual(each.mishaps, [], `round ${round}: ${each.name} lost something for no reason`)
        assert.ok(answered > 0 && echoed > 0, `round ${round}: ${each.name} ${answered} ${echoed}`)
      }
      const [one, other] = round % 2 === 0 ? [alice, bob] : [bob, alice]
      const isKilled = round % 4 < 2
      totals.restarts++
      if (round % 3 === 2) {
        const endedAt = performance.now()
        await one.end(isKilled)
        await other.hear('disconnected')
        while ((await other.count()).open > 0) {
          assert.ok(performance.now() - endedAt < patienceMs, `${other.name} waits for what cannot come`)
          await wait(20)
        }
        slowestMs = Math.max(slowestMs, performance.now() - endedAt)
        totals.told += other.forgetMishaps()
        await one.start()
      } else {
        totals['of both']++
        await Promise.all([one.end(isKilled), other.end(isKilled)])
        await Promise.all([one.start(), other.start()])
      }
    }
    await Promise.all([alice.hear('holding'), bob.hear('holding')])
    for (const each of [alice, bob]) each.tell({ tell: 'finish' })
    for (const each of [alice, bob]) while ((await each.count()).open > 0) await wait(20)
    assert.deepEqual([...alice.mishaps, ...bob.mishaps], [])
    context.diagnostic(JSON.stringify(totals))
    context.diagnostic(
      `the last one was told ${Math.round(slowestMs)} ms after the end of a process, at most`,
    )
  },
)

/** A process of `living-application.ts`, and what it says. */
class Application implements AsyncDisposable {
  readonly name: string
  readonly #dataDir: string
  listen: string[] = []
  /** What failed, and disconnections, since it was started. */
  mishaps: Said[] = []
  #process: ChildProcess | undefined
  #said: Said[] = []
  #wake: () => void = () => {}

  private constructor(name: string, dataDir: string) {
    this.name = name
    this.#dataDir = dataDir
  }

  static async make(name: string): Promise<Application> {
    return new Application(name, await mkdtemp(join(tmpdir(), 'spacedock-restarts-')))
  }

  async start(): Promise<void> {
    const child = fork(program, [this.#dataDir, this.name], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    this.#process = child
    this.#said = []
    this.mishaps = []
    child.on('message', (said: Said) => {
      if (child !== this.#process) return
      this.#said.push(said)
      if (said.said === 'told' || said.said === 'disconnected') this.mishaps.push(said)
      this.#wake()
    })
    this.listen = (await this.hear('up')).listen
  }

  tell(told: Told): void {
    this.#process?.send(told)
  }

  /** The next of these, which may have been said already. */
  async hear<Kind extends Said['said']>(kind: Kind): Promise<Extract<Said, { said: Kind }>> {
    const deadline = performance.now() + hearingMs
    for (;;) {
      const at = this.#said.findIndex(({ said }) => said === kind)
      if (at >= 0) return this.#said.splice(at, 1)[0] as Extract<Said, { said: Kind }>
      assert.ok(performance.now() < deadline, `${this.name} does not say "${kind}": ${this.#lastWords()}`)
      const heard = new Promise<void>((resolve) => (this.#wake = resolve))
      await Promise.race([heard, wait(1_000)])
    }
  }

  async count(): Promise<Extract<Said, { said: 'counts' }>> {
    this.tell({ tell: 'count' })
    return this.hear('counts')
  }

  /** How many there were: there was a reason. */
  forgetMishaps(): number {
    return this.mishaps.splice(0).filter(({ said }) => said === 'told').length
  }

  async end(isKilled: boolean): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null) return
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    if (isKilled) child.kill('SIGKILL')
    else this.tell({ tell: 'close' })
    await exited
    this.#process = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end(true)
    await rm(this.#dataDir, { recursive: true, force: true })
  }

  #lastWords(): string {
    return JSON.stringify(this.#said.slice(-5))
  }
}

const program = fileURLToPath(new URL('living-application.ts', import.meta.url))
