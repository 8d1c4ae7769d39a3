import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConfirmationRequest, PairingProgress, SpacedockNode } from '../../src/api.ts'
import { within } from '../network/real-hosts.ts'
import { nextEvent, TestNodes } from './nodes.ts'

describe('two people', () => {
  test('are asked with the same digits and the name of the other, and both say yes', async () => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
    const asked: ConfirmationRequest[] = []
    const confirm = async (request: ConfirmationRequest): Promise<boolean> => {
      asked.push(request)
      return true
    }
    const paired = Promise.all([nextEvent(alice, 'device:paired'), nextEvent(bob, 'device:paired')])
    const connected = Promise.all([nextEvent(alice, 'device:connected'), nextEvent(bob, 'device:connected')])
    const invitation = await alice.pair({ confirm })
    const aliceAtBob = await bob.join(invitation.words, { confirm, peers: alice.status().listen })
    const bobAtAlice = await invitation.paired

    assert.deepEqual(
      asked.map(({ name, id, peerId }) => ({ name, id, peerId })),
      [bob, alice].map(({ name, id, peerId }) => ({ name, id, peerId })),
    )
    assert.match(asked[0]?.digits ?? '', /^\d{6}$/u)
    assert.equal(asked[0]?.digits, asked[1]?.digits)
    assert.deepEqual(
      (await paired).map(({ name }) => name),
      ['bob', 'alice'],
    )
    assert.deepEqual([aliceAtBob.peerId, bobAtAlice.peerId], [alice.peerId, bob.peerId])
    assert.deepEqual(
      (await connected).map(({ state, path }) => [state, path]),
      [
        ['connected', 'direct'],
        ['connected', 'direct'],
      ],
    )
    assert.deepEqual(
      alice.devices().map(({ name }) => name),
      ['bob'],
    )
    assert.equal(alice.status().devices, 1)
  })

  for (const whoSaysNo of ['initiator', 'joiner'] as const) {
    test(`the ${whoSaysNo} says no: neither has the other`, async () => {
      await using nodes = new TestNodes()
      const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
      const invitation = await alice.pair({ confirm: async () => whoSaysNo !== 'initiator' })
      const joining = bob.join(invitation.words, {
        confirm: async () => whoSaysNo !== 'joiner',
        peers: alice.status().listen,
      })
      const reasons = (await Promise.allSettled([invitation.paired, joining])).map(codeOf)
      assert.deepEqual(
        reasons,
        whoSaysNo === 'initiator' ? ['declined', 'declined'] : ['cancelled', 'declined'],
      )
      assertNoDevices(alice, bob)
    })
  }

  test('a question that throws is a no', async () => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
    const invitation = await alice.pair({ confirm: () => Promise.reject(new Error('the window was closed')) })
    const joining = bob.join(invitation.words, { peers: alice.status().listen })
    const reasons = (await Promise.allSettled([invitation.paired, joining])).map(codeOf)
    assert.deepEqual(reasons, ['declined', 'declined'])
  })
})

describe('calling it off', () => {
  test('the signal of an invitation ends it, withdraws the question, and tells the joiner', async () => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
    const end = new AbortController()
    const asked = Promise.withResolvers<AbortSignal>()
    const invitation = await alice.pair({
      signal: end.signal,
      confirm: (_request, { signal }) => {
        asked.resolve(signal)
        return new Promise(() => undefined)
      },
    })
    const joining = bob.join(invitation.words, { peers: alice.status().listen })
    const question = await asked.promise
    assert.equal(question.aborted, false)
    end.abort()
    assert.deepEqual((await Promise.allSettled([invitation.paired, joining])).map(codeOf), [
      'cancelled',
      'cancelled',
    ])
    assert.equal(question.aborted, true)
    assertNoDevices(alice, bob)
  })

  test('the signal of a join ends it, and the initiator is told', async () => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
    const end = new AbortController()
    const invitation = await alice.pair({
      confirm: () => {
        end.abort()
        return new Promise(() => undefined)
      },
    })
    const joining = bob.join(invitation.words, { peers: alice.status().listen, signal: end.signal })
    assert.deepEqual((await Promise.allSettled([invitation.paired, joining])).map(codeOf), [
      'cancelled',
      'cancelled',
    ])
    assertNoDevices(alice, bob)
  })

  test('a signal that is aborted already rejects with its reason', async () => {
    await using nodes = new TestNodes()
    const alice = await nodes.make('alice')
    const reason = new Error('never mind')
    const signal = AbortSignal.abort(reason)
    await assert.rejects(alice.pair({ signal }), reason)
    await assert.rejects(alice.join(validWords, { signal }), reason)
  })

  test('an invitation that failed and that nobody looks at is an event, and no end of the process', async () => {
    await using nodes = new TestNodes()
    const alice = await nodes.make('alice')
    const failed = nextEvent(alice, 'pairing:failed')
    const invitation = await alice.pair()
    const { sessionId } = invitation
    await invitation.cancel()
    const { message, ...event } = await failed
    assert.deepEqual(event, { sessionId, role: 'initiator', code: 'cancelled' })
    assert.equal(message, 'The pairing was cancelled.')
  })

  test('closing the node ends its invitations and its joins', async () => {
    await using nodes = new TestNodes()
    const alice = await nodes.make('alice')
    const invitation = await alice.pair()
    const joining = alice.join(validWords)
    const ends = Promise.allSettled([invitation.paired, joining])
    await alice.close()
    assert.deepEqual((await ends).map(codeOf), ['cancelled', 'cancelled'])
  })
})

describe('a join', () => {
  test('words that are no code are refused at once, as is an address of nobody', async () => {
    await using nodes = new TestNodes()
    const alice = await nodes.make('alice')
    await assert.rejects(alice.join('twelve words that are not in the list'), { code: 'invalid-code' })
    await assert.rejects(alice.join(validWords, { peers: ['/ip4/127.0.0.1/tcp/1'] }), {
      code: 'invalid-argument',
    })
  })

  test('finds nobody, and says so in the end by error and by event', async () => {
    await using nodes = new TestNodes()
    const bob = await nodes.make('bob')
    const failed = nextEvent(bob, 'pairing:failed')
    await assert.rejects(bob.join(validWords, { timeoutMs: 50 }), { code: 'not-found' })
    const { code, role } = await failed
    assert.deepEqual({ code, role }, { code: 'not-found', role: 'joiner' })
  })

  test('takes the URI of an invitation, which has the addresses in it', async () => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
    const invitation = await alice.pair()
    assert.match(invitation.uri, /^spacedock:/u)
    assert.equal((await bob.join(invitation.uri)).peerId, alice.peerId)
    assert.equal((await invitation.paired).peerId, bob.peerId)
  })

  test('of a used code says so, to somebody who has the words', async () => {
    await using nodes = new TestNodes()
    const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => nodes.make(name)))
    assert.ok(alice && bob && carol)
    const { words } = await alice.pair()
    const peers = alice.status().listen
    await bob.join(words, { peers })
    await assert.rejects(carol.join(words, { peers }), { code: 'used' })
    assertNoDevices(carol)
  })
})

test('several codes are live at once, and each pairs the one who has it', async () => {
  await using nodes = new TestNodes()
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => nodes.make(name)))
  assert.ok(alice && bob && carol)
  const [first, second] = await Promise.all([alice.pair(), alice.pair()])
  assert.notEqual(first.words, second.words)
  assert.notEqual(first.sessionId, second.sessionId)
  const peers = alice.status().listen
  await Promise.all([carol.join(second.words, { peers }), bob.join(first.words, { peers })])
  assert.deepEqual(
    (await Promise.all([first.paired, second.paired])).map(({ name }) => name),
    ['bob', 'carol'],
  )
})

test('progress is told to the caller and as events, with the session id that both sides have', async () => {
  await using nodes = new TestNodes()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
  const told: PairingProgress[] = []
  const events: { sessionId: string; role: string; progress: PairingProgress }[] = []
  for (const node of [alice, bob]) {
    node.addEventListener('pairing:progress', ({ detail }) => void events.push(detail))
  }
  const answer = Promise.withResolvers<boolean>()
  const invitation = await alice.pair({ confirm: () => answer.promise })
  const waiting = Promise.withResolvers<void>()
  const joining = bob.join(invitation.words, {
    peers: alice.status().listen,
    onProgress: (progress) => {
      told.push(progress)
      if (progress.kind === 'waiting') waiting.resolve()
    },
  })
  await within(waiting.promise, 'the news that a person is being asked')
  answer.resolve(true)
  await joining
  const kinds = told.map(({ kind }) => kind).filter((kind) => kind !== 'source')
  assert.deepEqual([...new Set(kinds)], ['contact', 'digits', 'waiting'])
  assert.deepEqual(new Set(events.map(({ sessionId }) => sessionId)), new Set([invitation.sessionId]))
  assert.deepEqual(
    events.filter(({ role }) => role === 'joiner').map(({ progress }) => progress),
    told,
  )
})

const validWords = 'legal winner thank year wave sausage worth useful legal winner thank yellow'

function codeOf(result: PromiseSettledResult<unknown>): unknown {
  if (result.status === 'fulfilled') return 'fulfilled'
  return (result.reason as { code?: unknown }).code ?? result.reason
}

function assertNoDevices(...nodes: SpacedockNode[]): void {
  for (const node of nodes) assert.deepEqual(node.devices(), [], node.name)
}
