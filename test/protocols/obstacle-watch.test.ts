import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceInfo, ReachabilityFinding } from '../../src/api.ts'
import { describeCause, describeFinding, type FindingPlace } from '../../src/finding-text.ts'
import { DialEvidence } from '../../src/network/reachability/dial-evidence.ts'
import { ObstacleWatch } from '../../src/protocols/obstacle-watch.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { asPeer } from '../peers.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

const never = new Promise<never>(() => {})

/** A stranger that is seen has its id for a name. */
function nameTold(peer: PeerId): DeviceInfo | undefined {
  if (peer === 'looking') return undefined
  return { id: 'id', name: peer === 'known' ? 'phone' : 'id' } as DeviceInfo
}

function watched(role: 'initiator' | 'joiner', { given = [] as string[], published = [] as string[] } = {}) {
  const clock = virtualClock()
  const connected = new Set<string>()
  const evidence = new DialEvidence(clock, (peer) => connected.has(peer))
  const findings: ReachabilityFinding[] = []
  const watch = new ObstacleWatch({
    evidence,
    clock,
    role,
    given: given.map(asPeer),
    published: new Set([...published].map(asPeer)),
    registry: { get: nameTold },
    host: { listeningPort: () => 28_417 },
    observer: {
      progress: (told) => {
        if (told.kind === 'obstacle') findings.push(told.finding)
      },
    },
  })
  const pass = (ms: number): void => {
    const untilMs = clock.monotonic() + ms
    while (clock.step(untilMs));
  }
  const dial = (peer: PeerId, address = '/ip4/192.168.1.20/tcp/4001'): void =>
    evidence.dialling({ peer, address, result: never })
  return { watch, evidence, findings, pass, dial, connected }
}

test('a joiner is told of a peer that is there and does not answer, once, until it is connected', () => {
  const { watch, evidence, findings, pass, dial, connected } = watched('joiner')
  evidence.heard(asPeer('known'))
  dial(asPeer('known'))
  pass(3_900)
  assert.deepEqual(findings, [])
  pass(60_000)
  assert.equal(findings.length, 1)
  const [told] = findings
  assert.ok(told !== undefined)
  const { name, cause, port, ownPort, remedies } = told
  assert.deepEqual([name, cause, port, ownPort], ['phone', 'no-answer', 4_001, 28_417])
  assert.deepEqual(remedies, ['open-there', 'open-here'])
  assert.equal(watch.current()?.peer, 'known')
  connected.add('known')
  assert.equal(watch.current(), null)
  connected.clear()
  watch.stop()
  assert.equal(watch.current(), null)
})

test('an initiator is told of those only that are looking, or whose address a person gave', () => {
  const { evidence, findings, pass, dial } = watched('initiator', { given: ['given'] })
  for (const peer of ['idle', 'looking', 'given']) dial(asPeer(peer))
  evidence.heard(asPeer('idle'))
  for (let second = 0; second < 6; second++) {
    evidence.heard(asPeer('looking'))
    pass(1_000)
  }
  assert.deepEqual(
    findings.map(({ peer, known, name }) => [peer, known, name]),
    [
      ['given', 'given', null],
      ['looking', 'seen', null],
    ],
  )
})

test('at most three are told of, whatever else is on the network', () => {
  const { evidence, findings, pass, dial } = watched('joiner')
  for (let peer = 0; peer < 50; peer++) {
    evidence.heard(asPeer(`peer ${peer}`))
    dial(asPeer(`peer ${peer}`))
  }
  pass(60_000)
  assert.equal(findings.length, 3)
})

test('whoever published an address for the code is told of by that', () => {
  const { findings, pass, dial } = watched('joiner', { published: ['remote'] })
  dial(asPeer('remote'), '/ip4/192.168.1.20/tcp/4001')
  pass(10_000)
  assert.deepEqual(findings, [])
  dial(asPeer('remote'), '/ip4/45.67.89.1/tcp/4001')
  pass(10_000)
  assert.deepEqual(
    findings.map(({ known, address, remedies }) => [known, address, remedies]),
    [['published', '/ip4/45.67.89.1/tcp/4001', ['open-there', 'swap']]],
  )
})

test('every finding makes two sentences that name the port, wherever it is told', () => {
  const causes = ['no-answer', 'refused', 'unreachable', 'reset'] as const
  const sentence = /^[A-Z"].*[.]$/u
  for (const place of ['pair', 'join', 'device'] satisfies FindingPlace[]) {
    for (const cause of causes) {
      for (const known of ['seen', 'given', 'published'] as const) {
        for (const ownPort of [null, 4_001, 28_417]) {
          const address = '/ip6zone/eth0/ip6/fe80::1/tcp/4001'
          const finding = { cause, known, ownPort, address, port: 4_001, peer: 'p', name: null, remedies: [] }
          const { message, hint } = describeFinding(finding, place)
          assert.match(message, sentence)
          assert.match(hint, sentence)
          assert.match(message, /TCP port 4001/u)
          assert.match(hint, /4001/u)
          assert.match(`${message} ${describeCause(finding)}`, /fe80::1/u)
        }
      }
    }
  }
})
