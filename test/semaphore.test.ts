import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Semaphore } from '../src/semaphore.ts'

/** Work that runs until it is ended. */
function controlled(semaphore: Semaphore) {
  const begun: string[] = []
  const ends = new Map<string, PromiseWithResolvers<void>>()
  const run = (name: string, key?: string): Promise<string> => {
    const end = Promise.withResolvers<void>()
    ends.set(name, end)
    return semaphore.run(
      async () => {
        begun.push(name)
        await end.promise
        return name
      },
      key === undefined ? {} : { key },
    )
  }
  return {
    begun,
    run,
    end: (name: string) => ends.get(name)?.resolve(),
    fail: (name: string, error: Error) => ends.get(name)?.reject(error),
  }
}

test('so many run at once, the others in the order in which they came', async () => {
  const { begun, run, end } = controlled(new Semaphore(2))
  const all = ['a', 'b', 'c', 'd'].map((name) => run(name))
  await nextTurn()
  assert.deepEqual(begun, ['a', 'b'])
  end('b')
  await nextTurn()
  assert.deepEqual(begun, ['a', 'b', 'c'])
  for (const name of ['a', 'c', 'd']) end(name)
  assert.deepEqual(await Promise.all(all), ['a', 'b', 'c', 'd'])
})

test('each key has places of its own', async () => {
  const { begun, run } = controlled(new Semaphore(1))
  void run('a', 'one')
  void run('b', 'one')
  void run('c', 'other')
  await nextTurn()
  assert.deepEqual(begun, ['a', 'c'])
})

test('what fails passes its error on, and its place to the next', async () => {
  const semaphore = new Semaphore(1)
  const { begun, run, end, fail } = controlled(semaphore)
  const failing = run('a')
  const next = run('b')
  fail('a', new Error('failed'))
  await assert.rejects(failing, /failed/u)
  end('b')
  await next
  assert.deepEqual(begun, ['a', 'b'])
  assert.ok(semaphore.isIdle)
})

test('who is called off while it waits gets no place, and nobody loses one by that', async () => {
  const semaphore = new Semaphore(1)
  const first = await semaphore.acquire()
  const calledOff = new AbortController()
  const second = semaphore.acquire({ signal: calledOff.signal })
  const third = semaphore.acquire()
  // In the same turn of the event loop, before anything that waits has run.
  calledOff.abort(new Error('called off'))
  first[Symbol.dispose]()
  await assert.rejects(second, /called off/u)
  const place = await third
  assert.ok(!semaphore.isIdle)
  place[Symbol.dispose]()
  assert.ok(semaphore.isIdle)
  await assert.rejects(semaphore.acquire({ signal: calledOff.signal }), /called off/u)
  assert.ok(semaphore.isIdle)
})

test('a signal that aborts after the place was given takes nothing back', async () => {
  const semaphore = new Semaphore(1)
  const first = await semaphore.acquire()
  const late = new AbortController()
  const second = semaphore.acquire({ signal: late.signal })
  first[Symbol.dispose]()
  late.abort(new Error('late'))
  const place = await second
  assert.ok(!semaphore.isIdle)
  place[Symbol.dispose]()
  assert.ok(semaphore.isIdle)
})

test('only so many may wait', async () => {
  const semaphore = new Semaphore(1)
  const place = await semaphore.acquire()
  const waiting = Array.from({ length: 8_192 }, () => semaphore.run(async () => {}))
  await assert.rejects(semaphore.acquire({ key: '' }), { code: 'too-large' })
  place[Symbol.dispose]()
  await Promise.all(waiting)
  assert.ok(semaphore.isIdle)
})
