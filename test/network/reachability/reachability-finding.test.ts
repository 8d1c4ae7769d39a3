import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DialObstacle } from '../../../src/network/reachability/dial-obstacle.ts'
import {
  findObstacle,
  isSeeking,
  type DialRecord,
  type PeerEvidence,
} from '../../../src/network/reachability/reachability-finding.ts'

const lan = '/ip4/192.168.1.20/tcp/28417'
const linkLocal = '/ip6zone/eth0/ip6/fe80::1/tcp/28417'
const global = '/ip6/2a02:8071::1/tcp/28417'

function dialled(obstacle: DialObstacle | null, waitedMs = 0, address = lan): DialRecord {
  return { address, sinceMs: 1_000, waitedMs, obstacle }
}

function evidence(attempts: DialRecord[], changes: Partial<PeerEvidence> = {}): PeerEvidence {
  return { announcedAtMs: [1_000], heardAtMs: 1_000, isConnected: false, attempts, ...changes }
}

function published(addresses: string[]) {
  const attempts = addresses.map((address) => dialled('silence', 5_000, address))
  return findObstacle(evidence(attempts, { heardAtMs: null }), 'published')
}

test('what dials to a peer that was seen came to is turned into a cause, or nothing is said', () => {
  const table: [attempts: DialRecord[], cause: string | null][] = [
    [[], null],
    [[dialled(null, 2_999)], null],
    [[dialled(null, 3_000)], 'no-answer'],
    [[dialled('silence', 2_999)], null],
    [[dialled('silence', 10_000)], 'no-answer'],
    [[dialled('refused')], 'refused'],
    [[dialled('unreachable')], 'unreachable'],
    [[dialled('reset')], 'reset'],
    [[dialled('no-route', 10_000)], null],
    [[dialled('stranger', 10_000)], null],
    [[dialled('no-route'), dialled('refused', 0, global)], 'refused'],
    [[dialled('refused', 0, global), dialled(null, 4_000)], 'no-answer'],
  ]
  for (const [attempts, cause] of table) {
    const found = findObstacle(evidence(attempts), 'seen')
    assert.equal(found?.cause ?? null, cause, JSON.stringify(attempts))
  }
})

test('the address that is named is the one that people know, with the port to open', () => {
  const silent = [linkLocal, global, lan].map((address) => dialled('silence', 5_000, address))
  assert.deepEqual(findObstacle(evidence(silent), 'seen'), {
    cause: 'no-answer',
    known: 'seen',
    address: lan,
    port: 28_417,
  })
  assert.equal(findObstacle(evidence(silent.slice(0, 2)), 'seen')?.address, global)
  assert.equal(findObstacle(evidence(silent.slice(0, 1)), 'seen')?.address, linkLocal)
})

test('a peer that is connected, was not heard since it was dialled, or has left, has no firewall', () => {
  const silent = [dialled('silence', 10_000)]
  for (const changes of [{ isConnected: true }, { heardAtMs: 999 }, { heardAtMs: null }]) {
    assert.equal(findObstacle(evidence(silent, changes), 'seen'), null, JSON.stringify(changes))
  }
  // An address that a person gave needs nobody to be heard.
  assert.equal(findObstacle(evidence(silent, { heardAtMs: null }), 'given')?.cause, 'no-answer')
})

test('of what a record in a DHT says, only addresses that lead there from any network tell something', () => {
  const publicAddress = '/ip4/45.67.89.1/tcp/28417'
  assert.equal(published([lan, '/ip4/100.64.0.1/tcp/1', '/ip6/fd00::1/tcp/1', linkLocal]), null)
  assert.equal(published([lan, publicAddress])?.address, publicAddress)
})

test('whoever announces itself once a second is looking for somebody; answers to questions of others are too few', () => {
  const nowMs = 100_000
  const before = (...seconds: number[]) => ({ announcedAtMs: seconds.map((ago) => nowMs - ago * 1_000) })
  assert.ok(isSeeking(before(4, 3, 2, 1, 0), nowMs))
  assert.ok(isSeeking(before(6, 4, 3, 2, 0), nowMs), 'one lost')
  assert.ok(!isSeeking(before(3, 2, 1, 0), nowMs), 'a start, and an answer or two')
  assert.ok(!isSeeking(before(40, 30, 20, 10, 0), nowMs), 'somebody asks every ten seconds')
  assert.ok(!isSeeking(before(11, 10, 9, 8, 7), nowMs), 'it has stopped')
})

test('nothing is ever said without a dial that was answered with no, or with nothing for three seconds', () => {
  const obstacles = ['no-route', 'unreachable', 'refused', 'reset', 'stranger', 'silence', null] as const
  const record = fc.record({
    address: fc.constantFrom(lan, global, linkLocal),
    sinceMs: fc.nat(10_000),
    waitedMs: fc.nat(10_000),
    obstacle: fc.constantFrom(...obstacles),
  })
  const any = fc.record({
    announcedAtMs: fc.array(fc.nat(20_000)),
    heardAtMs: fc.option(fc.nat(20_000)),
    isConnected: fc.boolean(),
    attempts: fc.array(record),
  })
  fc.assert(
    fc.property(
      any,
      fc.constantFrom('seen' as const, 'given' as const, 'published' as const),
      (known, how) => {
        const found = findObstacle(known, how)
        if (found === null) return
        assert.ok(!known.isConnected)
        assert.ok(
          known.attempts.some(
            ({ address, obstacle, waitedMs }) =>
              address === found.address &&
              (obstacle === found.cause ||
                (found.cause === 'no-answer' && (obstacle ?? 'silence') === 'silence' && waitedMs >= 3_000)),
          ),
        )
      },
    ),
  )
})
