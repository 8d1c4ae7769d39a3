import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChangeFilter } from '../../src/store/change-filter.ts'
import { alice, deviceInfo } from './fixtures.ts'

const device = deviceInfo()
const connected = deviceInfo({ state: 'connected', path: 'relayed', address: '/ip4/192.0.2.1/tcp/1' })
const failure = (message: string, at = '2026-01-01T00:00:00.000Z') => ({
  at,
  code: 'offline',
  message,
  hint: null,
  finding: null,
})

test('a change of state is told before anything else, and nothing is told twice', () => {
  const told = new ChangeFilter()
  assert.deepEqual(told.news(device, 0), { kind: 'state', before: null })
  assert.equal(told.news(device, 0), null)
  assert.deepEqual(told.news(connected, 0), { kind: 'state', before: 'disconnected' })
  assert.deepEqual(told.news({ ...connected, path: 'direct' }, 0), { kind: 'path' })
  assert.equal(told.news({ ...connected, path: 'direct', lastSeen: 'now' }, 0), null)
  assert.deepEqual(told.news({ ...connected, path: 'direct', address: '/ip4/192.0.2.2/tcp/1' }, 0), {
    kind: 'details',
  })
  told.forget(alice)
  assert.deepEqual(told.news(connected, 0), { kind: 'state', before: null })
})

test('a failure is told when it is another one, however often it is met', () => {
  const told = new ChangeFilter()
  told.news(device, 0)
  const details = { kind: 'details' }
  assert.deepEqual(told.news({ ...device, lastFailure: failure('One.') }, 0), details)
  assert.equal(told.news({ ...device, lastFailure: failure('One.', 'later') }, 0), null)
  assert.deepEqual(told.news({ ...device, lastFailure: failure('Other.') }, 0), details)
})

test('a round trip is told when it is first known, then only when it is another order, twice a minute at most', () => {
  const told = new ChangeFilter()
  told.news(connected, 0)
  const news = (roundTripMs: number, nowMs: number) => told.news({ ...connected, roundTripMs }, nowMs)?.kind
  assert.equal(news(20, 0), 'details')
  let events = 0
  for (let second = 3; second < 3_600; second += 3) {
    if (news(20 + (second % 18), second * 1_000) !== undefined) events++
  }
  assert.equal(events, 0)
  assert.equal(news(2, 3_600_000), 'details')
  assert.equal(news(100, 3_600_100), undefined)
  assert.equal(news(100, 3_640_000), 'details')
  assert.equal(news(250, 3_669_000), undefined)
  assert.equal(news(250, 3_671_000), 'details')
})
