import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Inbox } from '../../src/store/inbox.ts'
import { NodeCounters } from '../../src/node/node-counters.ts'
import { accept } from '../store/fixtures.ts'
import { openMemoryStore } from '../../src/store/store.ts'
import { until } from '../network/real-hosts.ts'
import { nextEvent, pairOfSuite } from './nodes.ts'
import { asPeer } from '../peers.ts'

describe('what a node counts', () => {
  const { pair } = pairOfSuite()

  test('a pairing, by the role in it, and the session that follows', () => {
    for (const [node, role, other] of [
      [pair().alice, 'initiator', 'joiner'],
      [pair().bob, 'joiner', 'initiator'],
    ] as const) {
      const { pairings, sessions, connections } = node.metrics()
      assert.equal(pairings[role].paired, 1)
      assert.equal(sumOf(pairings[role]), 1)
      assert.equal(sumOf(pairings[other]), 0)
      assert.deepEqual(sessions.open, { direct: 1, relayed: 0 })
      assert.ok(sessions.opened >= 1)
      assert.equal(sessions.lost, 0)
      assert.ok(connections.opened.direct >= 1 && connections.open.direct >= 1)
    }
    assert.ok(pair().bob.metrics().dials.tried >= 1)
  })

  test('how pairings end', async () => {
    const { alice, bob } = pair()
    const before = { alice: alice.metrics().pairings, bob: bob.metrics().pairings }
    const failed = nextEvent(alice, 'pairing:failed')
    await (await alice.pair()).cancel()
    await failed

    const unknown = `${'abandon '.repeat(11)}about`
    await assert.rejects(alice.join(unknown, { timeoutMs: 50 }), { code: 'not-found' })

    const declined = nextEvent(alice, 'pairing:failed')
    const invitation = await alice.pair({ confirm: async () => false })
    await assert.rejects(bob.join(invitation.words, { peers: alice.status().listen }), { code: 'declined' })
    await declined

    const now = { alice: alice.metrics().pairings, bob: bob.metrics().pairings }
    assert.equal(now.alice.initiator.cancelled - before.alice.initiator.cancelled, 1)
    assert.equal(now.alice.initiator.declined - before.alice.initiator.declined, 1)
    assert.equal(now.alice.joiner['not-found'], 1)
    assert.equal(now.bob.joiner.declined - before.bob.joiner.declined, 1)
    assert.equal(sumOf(now.alice.joiner) + sumOf(now.bob.joiner), 3, 'the first pairing, and two that failed')
  })

  test('messages: sent, delivered, received; and the bytes that carry them', async () => {
    const { alice, bob, bobAtAlice } = pair()
    const before = { alice: alice.metrics(), bob: bob.metrics() }
    await bobAtAlice.send('x'.repeat(10_000))
    await bobAtAlice.send('and another')
    const now = { alice: alice.metrics(), bob: bob.metrics() }
    assert.equal(now.alice.messages.sent - before.alice.messages.sent, 2)
    assert.equal(now.alice.messages.delivered - before.alice.messages.delivered, 2)
    assert.equal(now.alice.messages.queued, 0)
    assert.equal(now.bob.messages.received - before.bob.messages.received, 2)
    assert.equal(now.bob.messages.duplicate, 0)
    assert.ok(within(now.alice.bytes.sent - before.alice.bytes.sent, 10_000, 12_000))
    assert.ok(within(now.bob.bytes.received - before.bob.bytes.received, 10_000, 12_000))
    assert.ok(within(now.bob.bytes.sent - before.bob.bytes.sent, 10, 2_000))
  })

  test('a device that is gone: a session lost, a message queued, dials that fail and are tried again', async () => {
    const { alice, bob, bobAtAlice } = pair()
    const lost = nextEvent(alice, 'device:disconnected')
    await bob.close()
    await lost
    assert.equal((await bobAtAlice.send('for later')).status, 'queued')
    const failures = (): boolean => {
      const { dials, retries } = alice.metrics()
      return dials.failed >= 1 && dials.tried >= dials.failed && retries.connections >= 1
    }
    await until(failures, 'a dial that failed')
    const { sessions, messages, connections } = alice.metrics()
    assert.equal(sessions.lost, 1)
    assert.deepEqual(sessions.open, { direct: 0, relayed: 0 })
    assert.deepEqual(connections.open, { direct: 0, relayed: 0 })
    assert.equal(messages.queued, 1)
    assert.throws(() => bob.metrics(), { code: 'closed' })
  })
})

test('a message that arrives twice is one that was received and one duplicate', () => {
  const store = openMemoryStore()
  const metrics = new NodeCounters()
  const inbox = metrics.watchInbox(store.inbox)
  const message = {
    id: 'a'.repeat(22),
    peerId: asPeer('peer'),
    kind: 'text',
    body: 'hello',
    atMs: 1,
  } as const
  assert.equal(accept(inbox, message).outcome, 'new')
  assert.equal(accept(inbox, message).outcome, 'duplicate')
  const { received, duplicate } = metrics.read({ connections: [], sessions: [], queued: 0 }).messages
  assert.deepEqual({ received, duplicate }, { received: 1, duplicate: 1 })
  store.close()
})

test('an inbox that is counted is whole, also one whose methods are those of a class', () => {
  const store = openMemoryStore()
  const ofClass = Object.create(store.inbox) as Inbox
  const inbox = new NodeCounters().watchInbox(ofClass)
  const peerId = asPeer('peer')
  accept(inbox, { id: 'a'.repeat(22), peerId, kind: 'text', body: 'hello', atMs: 1 })
  const last = inbox.lastSequence()
  assert.deepEqual(
    [inbox.list().length, inbox.amount(), inbox.isFullFor(peerId)],
    [1, { messages: 1, bytes: 5 }, false],
  )
  assert.deepEqual([inbox.removeSome(last), inbox.remove(last), inbox.prune()], [1, false, 0])
  inbox.onDropped(() => {})()
  store.close()
})

test('what an outcome is not known by is a failure', () => {
  const metrics = new NodeCounters()
  for (const outcome of ['burnt', 'disk-full', 'internal']) metrics.pairingEnded('joiner', outcome)
  const { joiner, initiator } = metrics.read({ connections: [], sessions: [], queued: 0 }).pairings
  assert.deepEqual([joiner.burnt, joiner.failed, sumOf(joiner), sumOf(initiator)], [1, 2, 3, 0])
})

test('what was read does not change any more', () => {
  const metrics = new NodeCounters()
  const before = metrics.read({ connections: [], sessions: [], queued: 0 })
  metrics.connectionOpened('relayed')
  metrics.sessionOpened('tls')
  metrics.passed('sent', 10)
  assert.deepEqual(before, new NodeCounters().read({ connections: [], sessions: [], queued: 0 }))
  assert.equal(
    metrics.read({ connections: ['relayed'], sessions: [], queued: 0 }).connections.open.relayed,
    1,
  )
})

function sumOf(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function within(value: number, least: number, most: number): boolean {
  return value >= least && value <= most
}
