import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../src/store/store.ts'
import { accept, alice, bob, temporaryDirectory } from './fixtures.ts'

const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url))
const rounds = 20

interface Writer {
  dataDir: string
  /** Where the engine keeps compiled code, so that only the first process has to wait for it. */
  compileCache: string
  start: number
  lines: number
}

/** Kills the writer after it has said so many lines; returns all that it said. */
async function killedWriter(
  context: TestContext,
  { dataDir, compileCache, start, lines }: Writer,
): Promise<string[]> {
  const child = spawn(process.execPath, ['--no-warnings', writer, dataDir, String(start)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  })
  context.after(() => child.kill('SIGKILL'))
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  const said: string[] = []
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (said.length === lines) child.kill('SIGKILL')
  }
  const [, signal] = (await exit) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', 'the writer must not end by itself')
  return said
}

test('threat 32: after kill -9 at any moment, everything that was said holds and nothing is half done', async (context) => {
  const dataDir = temporaryDirectory(context)
  const compileCache = temporaryDirectory(context)
  const accepted = new Set<string>()
  const queued = new Set<string>()
  let start = 0
  for (let round = 0; round < rounds; round += 1) {
    // A different step of the cycle each round; where exactly within the next step, the scheduler decides.
    const said = await killedWriter(context, { dataDir, compileCache, start, lines: 1 + ((round * 7) % 40) })
    let trusted = ''
    for (const line of said) {
      const [what = '', id = ''] = line.split(' ')
      if (what === 'accepted') accepted.add(id)
      else if (what === 'queued') queued.add(id)
      else if (what === 'removed') queued.delete(id)
      else trusted = what
    }

    const store = openStore({ dataDir })
    const inbox = store.inbox.list()
    const inboxIds = inbox.map(({ id }) => id)
    assert.equal(new Set(inboxIds).size, inboxIds.length, 'a message was doubled')
    assert.ok(
      [...accepted].every((id) => inboxIds.includes(id)),
      'an accepted message was lost',
    )
    assert.ok(inboxIds.length - accepted.size <= 1, 'more than the step under way was done')
    for (const message of inbox) {
      assert.equal(message.body, message.id.repeat(200))
      assert.deepEqual(accept(store.inbox, message), { outcome: 'duplicate', sequence: message.sequence })
    }

    const outboxIds = new Set(store.outbox.list().map(({ id }) => id))
    assert.ok(differences(outboxIds, queued) <= 1, 'a queued message was lost or came back')
    const steps = ['pending', 'active', 'revoked', 'pending']
    const state = store.trust.provisional(alice)?.state ?? store.trust.get(alice)?.state
    if (trusted !== '') {
      const possible = [trusted, steps[steps.indexOf(trusted) + 1]]
      assert.ok(possible.includes(state), `${trusted} was said, then it was ${state}`)
    }
    assert.equal(store.trust.get(bob)?.state, 'active')

    for (const id of inboxIds) accepted.add(id)
    queued.clear()
    for (const id of outboxIds) queued.add(id)
    start = inboxIds.length
    store.close()
  }
  assert.ok(accepted.size > rounds)
})

function differences(a: Set<string>, b: Set<string>): number {
  return [...a].filter((item) => !b.has(item)).length + [...b].filter((item) => !a.has(item)).length
}
