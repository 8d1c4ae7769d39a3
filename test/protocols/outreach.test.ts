import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import type { DeviceInfo } from '../../src/api.ts'
import type { CandidateSource, FoundPeer } from '../../src/network/discovery/candidate-sources.ts'
import { Outreach } from '../../src/protocols/outreach.ts'
import { turns, virtualClock } from '../../src/testing/virtual-clock.ts'
import { asPeer } from '../peers.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** An initiator's own dials, to a network that answers as the test says. */
function outreach(answers: (peer: PeerId) => 'yes' | 'no' | 'never') {
  const clock = virtualClock()
  const dials: { peer: PeerId; atMs: number; addresses: number }[] = []
  const released: string[] = []
  const pairing = new Set<string>()
  let running = 0
  let mostAtOnce = 0
  const made = new Outreach({
    clock,
    host: {
      peerId: asPeer('self'),
      connect: async (peer, addresses, { signal }) => {
        dials.push({ peer, atMs: clock.monotonic(), addresses: addresses.length })
        mostAtOnce = Math.max(mostAtOnce, ++running)
        try {
          const answer = answers(peer)
          if (answer === 'never')
            await new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
            )
          if (answer === 'no') throw new Error('refused')
          return {} as Connection
        } finally {
          running--
        }
      },
    },
    wanted: { isWanted: (peer) => peer === 'paired' },
    registry: { get: (peer) => (pairing.has(peer) ? ({ state: 'pairing' } as DeviceInfo) : undefined) },
    connections: { release: (peer) => released.push(peer) },
  })
  const searches: ((peer: FoundPeer) => void)[] = []
  const source: CandidateSource = {
    name: 'local-network',
    find: async ({ onCandidate }) => void searches.push(onCandidate),
  }
  const pass = async (ms: number): Promise<void> => {
    const untilMs = clock.monotonic() + ms
    do await turns(4)
    while (clock.step(untilMs))
    await turns(4)
  }
  const see = (peer: PeerId, marked = false): void =>
    searches.at(-1)?.({
      sender: '10.0.0.1',
      marked,
      peer,
      addresses: Array.from({ length: 30 }, (_, port) => `/ip4/10.0.0.1/tcp/${port}`),
      urgent: true,
    })
  return { made, source, see, pass, dials, released, pairing, mostAtOnce: () => mostAtOnce }
}

test('who is seen while an invitation is open is connected to, not oneself and not who is kept connected anyway', async () => {
  const { made, source, see, pass, dials, released } = outreach(() => 'yes')
  const invitation = new AbortController()
  made.open([source], invitation.signal)
  await pass(0)
  for (const peer of ['self', 'paired', 'bob']) see(asPeer(peer))
  await pass(10)
  assert.deepEqual(
    dials.map(({ peer }) => peer),
    ['bob'],
  )
  assert.ok((dials[0]?.addresses ?? 99) <= 8)
  invitation.abort()
  const before = dials.length
  see(asPeer('carol'))
  await pass(59_000)
  assert.deepEqual(released, [], 'the other side may still ask how it ended')
  await pass(2_000)
  assert.deepEqual(released, ['bob'], 'given back when nobody waits any more')
  assert.equal(dials.length, before)
})

test('a paired device that seems to hold the code is dialled: its session may run over TLS, where nobody joins', async () => {
  const { made, source, see, pass, dials } = outreach(() => 'yes')
  const invitation = new AbortController()
  made.open([source], invitation.signal)
  await pass(0)
  see(asPeer('paired'))
  await pass(10)
  assert.equal(dials.length, 0)
  see(asPeer('paired'), true)
  await pass(10)
  assert.deepEqual(
    dials.map(({ peer }) => peer),
    ['paired'],
  )
  invitation.abort()
})

test('two invitations share it, and the last one ends it', async () => {
  const { made, source, see, pass, dials, released } = outreach(() => 'yes')
  const [one, other] = [new AbortController(), new AbortController()]
  made.open([source], one.signal)
  made.open([source], other.signal)
  await pass(0)
  see(asPeer('bob'))
  await pass(10)
  one.abort()
  await pass(100)
  const before = dials.length
  other.abort()
  await pass(30_000)
  assert.equal(dials.length, before)
  // One that is opened meanwhile takes over what there is.
  const third = new AbortController()
  made.open([source], third.signal)
  await pass(60_000)
  assert.deepEqual(released, [])
  third.abort()
  await pass(61_000)
  assert.deepEqual(released, ['bob'])
})

test('a connection over which somebody pairs is not given back', async () => {
  const { made, source, see, pass, released, pairing } = outreach(() => 'yes')
  const invitation = new AbortController()
  made.open([source], invitation.signal)
  await pass(0)
  for (const peer of ['bob', 'carol']) see(asPeer(peer))
  await pass(10)
  pairing.add('bob')
  invitation.abort()
  await pass(61_000)
  assert.deepEqual(released, ['carol'])
})

for (const answer of ['yes', 'no', 'never'] as const) {
  test(`ten thousand invented peers that answer ${answer} cost ten dials a second, eight at once`, async () => {
    const { made, source, see, pass, dials, mostAtOnce, released } = outreach(() => answer)
    const invitation = new AbortController()
    made.open([source], invitation.signal)
    await pass(0)
    for (let second = 0; second < 20; second++) {
      for (let peer = 0; peer < 500; peer++) see(asPeer(`invented ${second} ${peer}`))
      await pass(1_000)
    }
    assert.ok(dials.length <= 16 + 20 * 10, `${dials.length} dials`)
    assert.ok(mostAtOnce() <= 8)
    invitation.abort()
    await pass(61_000)
    const kept = released.length
    assert.ok(answer === 'yes' ? kept > 0 : kept === 0)
  })
}
