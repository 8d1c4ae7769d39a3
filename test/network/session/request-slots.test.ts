import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../src/api.ts'
import { RequestSlots } from '../../../src/network/session/request-slots.ts'
import type { Session } from '../../../src/network/session/session.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { within } from '../real-hosts.ts'
import { sessionPair } from './session-pair.ts'
import { call } from './calls.ts'
import type { CallHandler } from '../../../src/network/session/call.ts'

const system = 'spacedock-message'

/** Answers all but what it is called here. */
function hanging(...names: string[]): CallHandler['request'] {
  return ({ name, value }) => (names.includes(name) ? new Promise(() => {}) : Promise.resolve(value))
}

function flood(session: Session, name: string, { count = 300, value = 1, signal }: Flood = {}): void {
  for (let index = 0; index < count; index++)
    session.request(call(name, 1, value), signal === undefined ? {} : { signal }).catch(() => {})
}

interface Flood {
  count?: number
  value?: unknown
  signal?: AbortSignal
}

test('a name gets half of the places of its class, all names together get all, and a place is given back once', () => {
  for (const [prefix, most] of [
    ['app', 256],
    [system, 16],
  ] as const) {
    const slots = new RequestSlots()
    const taken = Array.from({ length: most }, () => slots.take(`${prefix}-one`))
    const releases = taken.filter((release) => release !== undefined)
    assert.equal(releases.length, most / 2)
    const others = Array.from({ length: most }, (_, index) => slots.take(`${prefix}-${index}`))
    assert.equal(others.filter((release) => release !== undefined).length, most / 2)
    releases[0]?.()
    releases[0]?.()
    assert.ok(slots.take(`${prefix}-two`))
    assert.equal(slots.take(`${prefix}-two`), undefined)
  }
})

test('requests of applications, however many hang, hold up none of the system', async () => {
  const { dialer } = await sessionPair({ listener: { request: hanging('one', 'two', 'three') } })
  for (const name of ['one', 'two', 'three']) flood(dialer, name)
  await turns()
  assert.equal(await within(dialer.request(call(system, 1, 'hello')), 'the answer'), 'hello')
  // Neither do megabytes of them: 8 MiB are under way at most.
  const { dialer: other } = await sessionPair({ listener: { request: hanging('one') } })
  flood(other, 'one', { count: 20, value: 'x'.repeat(1_000_000) })
  await turns()
  const body = 'x'.repeat(800_000)
  assert.equal(await within(other.request(call(system, 1, body)), 'the large answer'), body)
  for (const session of [dialer, other]) session.abort(new Error('done'))
})

test('one protocol that hangs leaves half of the places to the others', async () => {
  const { dialer } = await sessionPair({ listener: { request: hanging('stuck') } })
  flood(dialer, 'stuck')
  await turns()
  const answers = Array.from({ length: 200 }, (_, index) => dialer.request(call('notes', 1, index)))
  assert.equal((await within(Promise.all(answers), 'the answers')).length, 200)
  dialer.abort(new Error('done'))
})

test('protocols take turns: one with few requests does not wait for all of those with many', async () => {
  const begun: string[] = []
  const waiting: (() => void)[] = []
  const { dialer } = await sessionPair({
    listener: {
      request: ({ name }) => {
        begun.push(name)
        return new Promise<void>((resolve) => waiting.push(resolve))
      },
    },
  })
  for (const name of ['one', 'two', 'few']) flood(dialer, name, { count: name === 'few' ? 1 : 500 })
  await turns(30)
  assert.equal(begun.length, 256)
  assert.ok(!begun.includes('few'))
  for (const answer of waiting.splice(0, 4)) answer()
  await turns(30)
  assert.ok(begun.includes('few'))
  dialer.abort(new Error('done'))
})

test('a handler that ignores that it was called off counts for thirty seconds, and then no more', async () => {
  const clock = virtualClock()
  const logged: unknown[] = []
  const log: Log = (...line) => logged.push(line)
  const { dialer, listener } = await sessionPair({ listener: { clock, log, request: hanging('stuck') } })
  const end = new AbortController()
  flood(dialer, 'stuck', { signal: end.signal })
  await turns(30)
  end.abort(new Error('not wanted any more'))
  await turns(30)
  await assert.rejects(dialer.request(call('stuck', 1, 1)), { code: 'remote-failure', message: /busy/u })
  assert.equal(await dialer.request(call('notes', 1, 'others go on')), 'others go on')
  await clock.pass(30_001)
  assert.equal(logged.length, 128)
  assert.deepEqual(logged[0], [
    'warn',
    'request.still-running',
    { name: 'stuck', version: 1, calledOffMs: 30_000 },
  ])
  const answered = dialer.request(call('stuck', 1, 1)).then(
    () => 'answered',
    () => 'refused',
  )
  assert.equal(await Promise.race([answered, turns(30).then(() => 'handled')]), 'handled')
  listener.abort(new Error('done'))
  await dialer.closed
  assert.equal(clock.pending(), 0)
})

test('a handler that does end gives its place back at once, and nothing is logged', async () => {
  const clock = virtualClock()
  const logged: unknown[] = []
  const log: Log = (...line) => logged.push(line)
  const { dialer } = await sessionPair({
    listener: {
      clock,
      log,
      request: async (_call, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        }),
    },
  })
  for (let round = 0; round < 3; round++) {
    const end = new AbortController()
    flood(dialer, 'slow', { count: 128, signal: end.signal })
    await turns(30)
    end.abort(new Error('not wanted any more'))
    await turns(30)
  }
  const asked = dialer.request(call('slow', 1, 1))
  await clock.pass(2_000)
  assert.equal(await Promise.race([asked, turns().then(() => 'handled')]), 'handled')
  dialer.abort(new Error('done'))
  await assert.rejects(asked, { code: 'interrupted' })
  assert.deepEqual(logged, [])
})

test('what hangs for ever is bounded: after 1,024 the next ones keep their places', async () => {
  const clock = virtualClock()
  let begun = 0
  const { dialer } = await sessionPair({
    dialer: { clock },
    listener: {
      clock,
      request: ({ name, value }) => {
        if (name !== 'stuck') return Promise.resolve(value)
        begun++
        return new Promise(() => {})
      },
    },
  })
  for (let round = 0; round < 12; round++) {
    const end = new AbortController()
    flood(dialer, 'stuck', { count: 128, signal: end.signal })
    await turns(30)
    end.abort(new Error('not wanted any more'))
    await clock.pass(30_001)
  }
  assert.equal(begun, 1_024 + 128)
  assert.equal(await dialer.request(call('notes', 1, 'others go on')), 'others go on')
  dialer.abort(new Error('done'))
})
