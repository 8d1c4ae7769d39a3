import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream } from '../../../src/api.ts'
import { within } from '../real-hosts.ts'
import { virtualClock, type VirtualClock } from '../../../src/testing/virtual-clock.ts'
import { sessionPair, type SessionPair } from './session-pair.ts'
import { call } from './calls.ts'

test('a request that crosses the goodbye of the other side is answered', async () => {
  const { dialer, listener } = await sessionPair()
  const closing = listener.close()
  assert.equal(await within(dialer.request(call('echo', 1, 'hello')), 'the answer'), 'hello')
  await within(closing, 'the close')
  assert.deepEqual(
    [await dialer.closed, await listener.closed],
    [{ reason: 'remote-closed' }, { reason: 'closed' }],
  )
})

test('after a goodbye nothing new is asked', async () => {
  const { dialer, listener } = await sessionPair()
  await within(listener.close(), 'the close')
  await assert.rejects(dialer.request(call('echo', 1, 'hello')), { code: 'interrupted' })
  await assert.rejects(listener.request(call('echo', 1, 'hello')), { code: 'interrupted' })
})

test('both may say goodbye at once, each with a request under way', async () => {
  const { dialer, listener } = await sessionPair()
  const requests = [dialer, listener].map((session) => session.request(call('echo', 1, 'hello')))
  const closing = Promise.all([dialer.close(), listener.close()])
  assert.deepEqual(await within(Promise.all(requests), 'the answers'), ['hello', 'hello'])
  await within(closing, 'the close')
})

test('a session that is drained lets a request that is under way take its time', async () => {
  const clock = virtualClock()
  const release = Promise.withResolvers<string>()
  const { dialer, listener } = await sessionPair({ listener: { clock, request: () => release.promise } })
  // The dialer's clock is the real one: however long the hours of the other take to compute, it waits.
  const answer = dialer.request(call('any', 1, null), { timeoutMs: Infinity })
  await dialer.ping()
  const closing = listener.drain()
  await clock.pass(3_600_000)
  release.resolve('at last')
  assert.equal(await within(answer, 'the answer'), 'at last')
  await within(closing, 'the close')
  assert.deepEqual(await listener.closed, { reason: 'closed' })
  assert.equal(clock.pending(), 0)
})

for (const closes of ['the reading side', 'the writing side', 'both sides'] as const) {
  test(`a stream is not cut, however seldom its bytes move, when ${closes} drain the session`, async () => {
    const clock = virtualClock()
    const { dialer, listener, stream, seen } = await streamUnderWay(clock)
    const closing = []
    if (closes !== 'the writing side') closing.push(dialer.drain())
    if (closes !== 'the reading side') closing.push(listener.drain())
    const writer = stream.writable.getWriter()
    for (let hours = 0; hours < 3; hours++) {
      await writer.write(new Uint8Array(1))
      await clock.pass(3_600_000)
    }
    assert.equal(seen(), 3)
    await writer.close()
    await clock.pass(0)
    await within(Promise.all(closing), 'the close')
    await within(Promise.all([dialer.closed, listener.closed]), 'both ends')
    assert.equal(clock.pending(), 0)
  })
}

test('a session that was given up for a better one can be used again, when it has answered', async () => {
  const { dialer } = await sessionPair({})
  const { forsaken: before } = dialer
  dialer.forsake()
  assert.equal(before.aborted, true)
  const { forsaken: now } = dialer
  assert.equal(now.aborted, false)
  dialer.abort(new Error('the end'))
  assert.equal(now.aborted, true)
})

test('a session that is drained begins nothing new, still answers pings, and gives up when it is closed', async () => {
  const clock = virtualClock()
  const { dialer, listener, stream } = await streamUnderWay(clock)
  const changes: string[] = []
  listener.watch(() => changes.push(`leaving: ${listener.isLeaving}`))
  const draining = dialer.drain()
  await dialer.ping()
  assert.deepEqual(changes, ['leaving: true'])
  for (const session of [dialer, listener]) {
    await assert.rejects(session.request(call('echo', 1, null)), { code: 'interrupted' })
    await assert.rejects(session.openStream(call('tail', 1, null)), { code: 'interrupted' })
  }
  const closing = dialer.close()
  await clock.pass(1_000)
  await within(Promise.all([draining, closing]), 'the close')
  await assert.rejects(stream.closed, { code: 'interrupted' })
})

/** From the listener, which writes, to the dialer, which reads. */
async function streamUnderWay(
  clock: VirtualClock,
): Promise<SessionPair & { stream: ByteStream; seen: () => number }> {
  const opened = Promise.withResolvers<ByteStream>()
  const pair = await sessionPair({
    dialer: { clock },
    listener: {
      clock,
      stream: async (_call, { accept }) => {
        const stream = accept()
        opened.resolve(stream)
        await stream.closed
      },
    },
  })
  const { readable, writable } = await pair.dialer.openStream(call('tail', 1, null))
  await writable.close()
  let seenBytes = 0
  void (async () => {
    for await (const chunk of readable) seenBytes += chunk.byteLength
  })().catch(() => {})
  return { ...pair, stream: await opened.promise, seen: () => seenBytes }
}
