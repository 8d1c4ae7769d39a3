import assert from 'node:assert/strict'
import { test } from 'node:test'
import { within } from '../real-hosts.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { sessionPair } from './session-pair.ts'

test('a request that crosses the goodbye of the other side is answered', async () => {
  const { dialer, listener } = await sessionPair()
  const closing = listener.close()
  assert.equal(await within(dialer.request('echo', 1, 'hello'), 'the answer'), 'hello')
  await within(closing, 'the close')
  assert.deepEqual(
    [await dialer.closed, await listener.closed],
    [{ reason: 'remote-closed' }, { reason: 'closed' }],
  )
})

test('after a goodbye nothing new is asked', async () => {
  const { dialer, listener } = await sessionPair()
  await within(listener.close(), 'the close')
  await assert.rejects(dialer.request('echo', 1, 'hello'), { code: 'interrupted' })
  await assert.rejects(listener.request('echo', 1, 'hello'), { code: 'interrupted' })
})

test('both may say goodbye at once, each with a request under way', async () => {
  const { dialer, listener } = await sessionPair()
  const requests = [dialer, listener].map((session) => session.request('echo', 1, 'hello'))
  const closing = Promise.all([dialer.close(), listener.close()])
  assert.deepEqual(await within(Promise.all(requests), 'the answers'), ['hello', 'hello'])
  await within(closing, 'the close')
})

test('a session that is closed with patience lets what is under way take its time', async () => {
  const clock = virtualClock()
  const release = Promise.withResolvers<string>()
  const { dialer, listener } = await sessionPair({ listener: { clock, dispatch: () => release.promise } })
  const answer = dialer.request('any', 1, null)
  await dialer.ping()
  const closing = listener.close({ patienceMs: 60_000 })
  await clock.pass(2_500)
  release.resolve('at last')
  assert.equal(await within(answer, 'the answer'), 'at last')
  await within(closing, 'the close')
  assert.deepEqual(await listener.closed, { reason: 'closed' })
  assert.equal(clock.pending(), 0)
})
