import assert from 'node:assert/strict'
import { test } from 'node:test'
import { within } from '../real-hosts.ts'
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
