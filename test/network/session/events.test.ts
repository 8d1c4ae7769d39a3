import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until, within } from '../real-hosts.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { sessionPair, type SessionOverrides } from './session-pair.ts'
import { call } from './calls.ts'
import type { CallHandler } from '../../../src/network/session/call.ts'

const receiving = (event: CallHandler['event']): SessionOverrides => ({
  event,
})

test('events arrive in order, with their name, version and value, and who sent them', async () => {
  const seen: unknown[] = []
  const { dialer, listener } = await sessionPair({
    listener: receiving(async ({ name, version, value }, { peerId }) => {
      seen.push([name, version, value, peerId.toString()])
    }),
  })
  const emitted = Array.from({ length: 500 }, (_, index) => dialer.emit(call('moved', 2, { index })))
  await Promise.all(emitted)
  await until(() => seen.length === 500, 'the events')
  const peer = listener.remotePeer.toString()
  assert.deepEqual(
    seen,
    Array.from({ length: 500 }, (_, index) => ['moved', 2, { index }, peer]),
  )
  await dialer.close()
})

test('one event of a name is handled at a time; those of another name do not wait for it', async () => {
  const begun: string[] = []
  const release = Promise.withResolvers<void>()
  const { dialer } = await sessionPair({
    listener: receiving(async ({ name, value }) => {
      begun.push(`${name} ${String(value)}`)
      if (name === 'slow') await release.promise
      if (value === 1) throw new Error('told to nobody')
    }),
  })
  for (const value of [1, 2]) await dialer.emit(call('slow', 1, value))
  for (const value of [1, 2]) await dialer.emit(call('quick', 1, value))
  await until(() => begun.length === 3, 'what can begin')
  assert.deepEqual(begun, ['slow 1', 'quick 1', 'quick 2'])
  release.resolve()
  await until(() => begun.length === 4, 'the rest')
  assert.equal(await dialer.request(call('any', 1, 'on')), 'on')
  await dialer.close()
})

test('a handler that never ends holds back events by a bounded number of bytes, and nothing else', async () => {
  const clock = virtualClock()
  let begun = 0
  const { dialer } = await sessionPair({
    listener: {
      clock,
      event: () => {
        begun++
        return new Promise(() => {})
      },
    },
  })
  let left = 0
  let refused: unknown
  const body = 'x'.repeat(10_000)
  for (let index = 0; refused === undefined && index < 1_000; index++) {
    try {
      dialer.emit(call('stuck', 1, body)).then(
        () => left++,
        () => {},
      )
    } catch (error) {
      refused = error
    }
  }
  assert.ok(refused instanceof Error && 'code' in refused && refused.code === 'too-large')
  await until(() => begun === 1, 'the first')
  await turns(30)
  assert.equal(left, 25, 'as many as the window holds')
  assert.equal(await dialer.request(call('any', 1, 'on')), 'on')
  // After thirty seconds it is not waited for any more.
  await clock.pass(30_001)
  await until(() => begun === 2, 'the second')
  dialer.abort(new Error('done'))
})

test('what has not left when the session ends is lost, and says so', async () => {
  const { dialer, listener } = await sessionPair({
    listener: receiving(() => new Promise(() => {})),
  })
  const emitted = Array.from({ length: 40 }, () => dialer.emit(call('any', 1, 'x'.repeat(10_000))))
  const outcomes = Promise.allSettled(emitted)
  await turns(20)
  listener.abort(new Error('gone'))
  const lost = (await within(outcomes, 'the end')).filter(({ status }) => status === 'rejected')
  assert.ok(lost.length > 0)
  await dialer.closed
  assert.throws(() => dialer.emit(call('any', 1, null)), { code: 'interrupted' })
})

test('an event over 65,000 bytes is refused here; one that nobody serves is dropped there', async () => {
  const { dialer } = await sessionPair()
  assert.throws(() => dialer.emit(call('any', 1, 'x'.repeat(65_000))), { code: 'too-large' })
  await dialer.emit(call('any', 1, 'x'.repeat(64_998)))
  assert.equal(await dialer.request(call('any', 1, 'on')), 'on')
  await dialer.close()
})

test('publications are never behind events of applications, whatever those wait for, nor the other way round', async () => {
  for (const [stuck, free] of [
    ['app', 'spacedock-publish'],
    ['spacedock-publish', 'app'],
  ] as const) {
    const seen: unknown[] = []
    const { dialer } = await sessionPair({
      listener: receiving(({ name, value }) => {
        if (name === stuck) return new Promise(() => {})
        seen.push(value)
        return Promise.resolve()
      }),
    })
    // As many as may wait: the window is used up there, and what may wait for it here.
    const emit = (): void => void dialer.emit(call(stuck, 1, 'x'.repeat(60_000))).catch(() => {})
    for (let index = 0; index < 17; index++) emit()
    assert.throws(emit, { code: 'too-large' })
    // Several windows full, so that credit has to come back for them.
    for (let index = 0; index < 20; index++) {
      await within(dialer.emit(call(free, 1, `${index} ${'x'.repeat(60_000)}`)), 'its turn')
    }
    await until(() => seen.length === 20, 'the others')
    assert.ok(seen.every((value, index) => String(value).startsWith(`${index} `)))
    dialer.abort(new Error('done'))
  }
})
