import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DialEvidence } from '../../../src/network/reachability/dial-evidence.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { asPeer } from '../../peers.ts'

const address = '/ip4/192.168.1.20/tcp/28417'
const refused = (): Error => Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })

/** As the race of a peer's addresses looks at it, too. */
function rejected(): Promise<never> {
  const result = Promise.reject(refused())
  result.catch(() => {})
  return result
}

function ledger() {
  const clock = virtualClock()
  const pass = (ms: number): void => {
    const untilMs = clock.monotonic() + ms
    while (clock.step(untilMs));
  }
  return { evidence: new DialEvidence(clock, () => false), pass }
}

test('dials in a row are added up, those that are still waiting too, until one is answered', async () => {
  const { evidence, pass } = ledger()
  const first = Promise.withResolvers<void>()
  evidence.dialling({ peer: asPeer('bob'), address, result: first.promise })
  pass(1_500)
  assert.deepEqual(evidence.of(asPeer('bob')).attempts, [
    { address, sinceMs: 0, waitedMs: 1_500, obstacle: null },
  ])
  first.reject(new Error('another address was faster'))
  await turns()
  pass(500)
  const second = Promise.withResolvers<void>()
  evidence.dialling({ peer: asPeer('bob'), address, result: second.promise })
  pass(2_000)
  assert.deepEqual(evidence.of(asPeer('bob')).attempts, [
    { address, sinceMs: 0, waitedMs: 3_500, obstacle: 'silence' },
  ])
  second.reject(refused())
  await turns()
  assert.equal(evidence.of(asPeer('bob')).attempts[0]?.obstacle, 'refused')
  evidence.dialling({ peer: asPeer('bob'), address, result: Promise.resolve() })
  await turns()
  assert.deepEqual(evidence.of(asPeer('bob')).attempts, [])
})

test('what is a minute old says nothing any more, and relays say nothing at all', async () => {
  const { evidence, pass } = ledger()
  evidence.dialling({ peer: asPeer('bob'), address, result: rejected() })
  evidence.dialling({
    peer: asPeer('bob'),
    address: `${address}/p2p/relay/p2p-circuit`,
    result: rejected(),
  })
  await turns()
  assert.equal(evidence.of(asPeer('bob')).attempts.length, 1)
  pass(60_001)
  assert.deepEqual(evidence.of(asPeer('bob')).attempts, [])
})

test('an announcement on several interfaces counts once, and a goodbye ends it', () => {
  const { evidence, pass } = ledger()
  for (const ms of [10, 20, 1_000, 5]) {
    evidence.heard(asPeer('bob'))
    pass(ms)
  }
  const { announcedAtMs, heardAtMs } = evidence.of(asPeer('bob'))
  assert.deepEqual(announcedAtMs, [0, 1_030])
  assert.equal(heardAtMs, 1_030)
  assert.deepEqual(evidence.heardSince(1_030), ['bob'])
  assert.deepEqual(evidence.heardSince(1_031), [])
  evidence.lost(asPeer('bob'))
  assert.equal(evidence.of(asPeer('bob')).heardAtMs, null)
})

test('whoever invents peers and addresses is remembered within bounds', async () => {
  const { evidence } = ledger()
  for (let peer = 0; peer < 1_000; peer++) {
    evidence.heard(asPeer(`peer ${peer}`))
    evidence.dialling({ peer: asPeer(`peer ${peer}`), address, result: rejected() })
  }
  for (let port = 1; port <= 100; port++)
    evidence.dialling({
      peer: asPeer('bob'),
      address: `/ip4/10.0.0.1/tcp/${port}`,
      result: rejected(),
    })
  await turns()
  assert.equal(evidence.heardSince(0).length, 256)
  assert.equal(evidence.of(asPeer('bob')).attempts.length, 16)
  assert.equal(evidence.of(asPeer('peer 0')).attempts.length, 0)
})
