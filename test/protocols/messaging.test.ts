import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Device, Message, MessageContent } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import { DeclaredFailure } from '../../src/network/session/remote-error.ts'
import { ProtocolError, UnknownProtocolError } from '../../src/protocol-error.ts'
import type { Delivery, Envelope } from '../../src/protocols/message-envelope.ts'
import { MessagingService, type MessageOptions } from '../../src/protocols/messaging.ts'
import type { InboxLimits } from '../../src/store/inbox.ts'
import { openMemoryStore, type Store } from '../../src/store/store.ts'
import { turns, virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { asPeer } from '../peers.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { PathBudget } from '../../src/network/session/path-budget.ts'

/** Two services over real boxes in memory; what lies between them is in the test's hand. */

type Transport = (delivery: Delivery, signal: AbortSignal) => Promise<unknown>

interface Side {
  peer: PeerId
  store: Store
  service: MessagingService
  arrived: Message[]
  delivered: string[]
  expired: string[]
  retries: number
  held: number
  full: number
  /** How the other side is reached; null while there is no session. */
  transport: Transport | null
  budget: { messageBytes: number; roomBytes: number } | null
}

const never = new AbortController().signal

function makeSide(time: VirtualClock, inbox: InboxLimits = {}): Side {
  const store = openMemoryStore({
    clock: { wall: () => time.wall(), monotonic: () => time.monotonic() },
    inbox,
  })
  let nextId = 0
  const side: Side = {
    peer: store.identity.peerId,
    store,
    arrived: [],
    delivered: [],
    expired: [],
    retries: 0,
    held: 0,
    full: 0,
    transport: null,
    budget: null,
    service: new MessagingService({
      devices: {
        requirePaired: () => {},
        nameOf: (peer) => ({ id: peer.slice(-16), name: 'the other one' }),
      },
      copies: { has: () => false },
      inbox: store.inbox,
      outbox: store.outbox,
      clock: time,
      log: () => undefined,
      random: (length) => new TextEncoder().encode(String(nextId++).padStart(length)),
      sessions: {
        sessionOf: () => {
          const { transport, budget } = side
          if (transport === null) return undefined
          return {
            request: ({ value }, { signal } = {}) => transport(value as Delivery, signal ?? never),
            forsaken: never,
            budget: budget as PathBudget | null,
          }
        },
      },
      listener: {
        messageReceived: (message) => side.arrived.push(message),
        messageDelivered: (id) => side.delivered.push(id),
        messageExpired: (id) => side.expired.push(id),
        messagesHeld: () => side.held++,
        inboxFull: () => side.full++,
        inboxDropped: () => {},
        messagesRetried: () => side.retries++,
      },
    }),
  }
  return side
}

/** As the registry does it: the schema first, then the handler, with the peer of the connection. */
async function handOver(to: Side, fromPeer: string, value: unknown): Promise<unknown> {
  const { request, handler } = to.service.protocol
  const checked = await request['~standard'].validate(value)
  if (checked.issues !== undefined) throw new SpacedockError('invalid-message', 'does not fit')
  assert.ok(handler !== undefined)
  const device = { peerId: fromPeer } as Device
  try {
    return await handler(checked.value, { device, signal: never, error: () => new Error() })
  } catch (error) {
    if (error instanceof ProtocolError)
      throw new DeclaredFailure(error.message, { code: error.code, data: error.data })
    throw error
  }
}

function scene(inbox: InboxLimits = {}): {
  time: VirtualClock
  alice: Side
  bob: Side
  connect: () => void
  send: Send
} {
  const time = virtualClock()
  const [alice, bob] = [makeSide(time), makeSide(time, inbox)]
  return {
    time,
    alice,
    bob,
    connect: () => {
      alice.transport = (delivery) => handOver(bob, alice.peer, delivery)
      alice.service.pump(asPeer(bob.peer))
    },
    send: (content, options = {}) =>
      alice.service.send(asPeer(bob.peer), content, { connected: async () => undefined, ...options }),
  }
}

type Send = (
  content: Parameters<MessagingService['send']>[1],
  options?: Partial<MessageOptions>,
) => ReturnType<MessagingService['send']>

const interrupted = new SpacedockError('interrupted', 'The session ended.')

function textsOf(side: Side): (string | undefined)[] {
  return side.service.received.list().map(({ text }) => text)
}

describe('sending', () => {
  test('a connected device has the message when send resolves, and the outbox is empty', async () => {
    const { alice, bob, connect, send } = scene()
    connect()
    const { id, status } = await send('hello')
    assert.equal(status, 'delivered')
    assert.deepEqual(alice.delivered, [id])
    assert.deepEqual(alice.service.queued(), [])
    assert.deepEqual(
      bob.arrived.map((message) => [message.id, message.text, message.sequence]),
      [[id, 'hello', 1]],
    )
  })

  test('JSON arrives as the same value, a text as the same text', async () => {
    const { bob, connect, send } = scene()
    connect()
    const values = [{ lamp: ['on', 1, null] }, 'a string', 0, false, null]
    for (const json of values) await send({ json })
    await send({ text: '{"not":"json"}' })
    assert.deepEqual(
      bob.arrived.map((message) => message.text ?? message.json),
      [...values, '{"not":"json"}'],
    )
  })

  test('a value that JSON cannot say is refused, and nothing is queued', async () => {
    const { alice, send } = scene()
    await assert.rejects(send({ json: undefined }), { code: 'invalid-argument' })
    const circular: unknown[] = []
    circular.push(circular)
    for (const json of [circular, 5n, () => 5])
      await assert.rejects(send({ json }), { code: 'invalid-argument', message: /JSON/ })
    assert.deepEqual(alice.service.queued(), [])
  })

  test('what is neither a text nor { json } is refused with what can be sent', async () => {
    const { alice, send } = scene()
    for (const content of [5, undefined, null, { a: 1 }, ['text'], { text: 5 }, true, Symbol('text')]) {
      await assert.rejects(send(content as MessageContent), {
        name: 'SpacedockError',
        code: 'invalid-argument',
        message: 'Only a text or { json: value } can be sent.',
        hint: /\{ json: value \}/,
      })
    }
    assert.deepEqual(alice.service.queued(), [])
  })

  test('without a session messages are queued, and go out in order as soon as there is one', async () => {
    const { alice, bob, connect, send } = scene()
    for (const text of ['one', 'two', 'three']) assert.equal((await send(text)).status, 'queued')
    assert.deepEqual(
      alice.service.queued().map(({ text, to }) => [text, to.name]),
      [
        ['one', 'the other one'],
        ['two', 'the other one'],
        ['three', 'the other one'],
      ],
    )
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['one', 'two', 'three'])
    assert.deepEqual(alice.service.queued(), [])
  })

  test('a device that does not answer within ten seconds makes it "queued", and it stays queued', async () => {
    const { time, alice, send } = scene()
    alice.transport = () => new Promise(() => undefined)
    const sending = send('hello')
    await time.pass(9_999)
    assert.equal(await Promise.race([sending, turns().then(() => 'still waiting')]), 'still waiting')
    await time.pass(1)
    assert.equal((await sending).status, 'queued')
    assert.equal(alice.service.queued().length, 1)
  })

  test('a caller that has no more time gets "queued" at once', async () => {
    const { alice, send } = scene()
    alice.transport = () => new Promise(() => undefined)
    const end = new AbortController()
    const sending = send('hello', { signal: end.signal })
    await turns()
    end.abort()
    assert.equal((await sending).status, 'queued')
  })

  test('a message that is delivered while send still waits for the connection is "delivered"', async () => {
    const { connect, send } = scene()
    const connected = async (): Promise<void> => {
      connect()
      await turns()
    }
    assert.equal((await send('hello', { connected })).status, 'delivered')
  })

  test('a message whose receipt is lost is sent again over the next session, and arrives once', async () => {
    const { time, alice, bob, send } = scene()
    let sessions = 0
    alice.transport = async (delivery) => {
      sessions++
      const receipt = await handOver(bob, alice.peer, delivery)
      if (sessions === 1) throw interrupted
      return receipt
    }
    const sending = send('hello')
    await time.pass(100)
    assert.equal((await sending).status, 'delivered')
    assert.equal(sessions, 2)
    assert.deepEqual(textsOf(bob), ['hello'])
    assert.equal(bob.arrived.length, 1, 'announced twice')
  })

  test('while the other side cannot store a message, the ones behind it wait', async () => {
    const { time, alice, bob, send } = scene()
    let isFull = true
    const asked: string[] = []
    alice.transport = async (delivery) => {
      asked.push(delivery.messages.map(({ body }) => body).join(' '))
      if (isFull) throw new SpacedockError('remote-failure', 'The disk is full.')
      return handOver(bob, alice.peer, delivery)
    }
    const sending = Promise.all([send('one'), send('two')])
    await time.pass(4_999)
    assert.deepEqual(asked, ['one two'])
    isFull = false
    await time.pass(1)
    await sending
    assert.deepEqual(asked, ['one two', 'one two'])
    assert.equal(alice.retries, 1)
    assert.deepEqual(textsOf(bob), ['one', 'two'])
  })

  test('a receipt that is none leaves the message in the outbox', async () => {
    const { time, alice, send } = scene()
    alice.transport = async () => ({ stored: 'perhaps' })
    const sending = send('hello')
    await time.pass(10_000)
    assert.equal((await sending).status, 'queued')
    assert.deepEqual(alice.delivered, [])
  })

  test('messages given at once are sent together, in order, while one delivery waits for its receipt', async () => {
    const { alice, bob, send } = scene()
    const sizes: number[] = []
    alice.transport = async (delivery) => {
      sizes.push(delivery.messages.length)
      await turns(3)
      return handOver(bob, alice.peer, delivery)
    }
    const texts = Array.from({ length: 600 }, (_, number) => String(number))
    const results = await Promise.all(texts.map((text) => send(text)))
    assert.ok(results.every(({ status }) => status === 'delivered'))
    assert.deepEqual(textsOf(bob), texts)
    assert.deepEqual(sizes, [256, 256, 88])
    assert.equal(alice.delivered.length, 600)
  })

  test('one message that is refused is refused alone', async () => {
    const { bob, connect, send } = scene()
    connect()
    const [one, two, three] = await Promise.allSettled([
      send('one'),
      send('x'.repeat(300_000)),
      send('three'),
    ])
    assert.deepEqual([one?.status, two?.status, three?.status], ['fulfilled', 'rejected', 'fulfilled'])
    assert.equal(two?.status === 'rejected' && (two.reason as SpacedockError).code, 'too-large')
    assert.deepEqual(textsOf(bob), ['one', 'three'])
  })

  test('closing ends what is being sent, and what waits stays queued', async () => {
    const { time, alice, send } = scene()
    let wasAborted = false
    alice.transport = (_envelope, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          wasAborted = true
          reject(interrupted)
        })
      })
    const sending = send('hello')
    await turns()
    alice.service.close()
    assert.equal((await sending).status, 'queued')
    assert.ok(wasAborted)
    await time.pass(60_000)
    assert.equal(time.pending(), 0, 'a timer was left behind')
    assert.equal(alice.service.queued().length, 1)
  })
})

describe('a message that is given a time to live', () => {
  const dayMs = 24 * 3_600_000

  test('is not sent when its time is over, is told about, and those behind it go out', async () => {
    const { time, alice, bob, connect, send } = scene()
    alice.service.start()
    const { id } = await send('too late', { expiresInMs: 5_000 })
    await send('in time', { expiresInMs: 60_000 })
    await time.pass(4_999)
    assert.deepEqual(alice.expired, [])
    await time.pass(1)
    assert.deepEqual(alice.expired, [id])
    assert.deepEqual(
      alice.service.queued().map(({ text, state, expiresAt }) => [text, state, expiresAt]),
      [
        ['too late', 'expired', new Date(time.wall()).toISOString()],
        ['in time', 'queued', new Date(time.wall() + 55_000).toISOString()],
      ],
    )
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['in time'])
    assert.deepEqual(alice.delivered.length, 1)
  })

  test('does not expire while it is being sent, and is either delivered or expired, never both', async () => {
    const { time, alice, bob, send } = scene()
    alice.service.start()
    const answers: ((value: unknown) => void)[] = []
    alice.transport = (delivery) =>
      new Promise((resolve) => answers.push(() => resolve(handOver(bob, alice.peer, delivery))))
    const sending = send('slowly', { expiresInMs: 1_000 })
    await time.pass(5_000)
    assert.deepEqual([alice.expired, answers.length], [[], 1])
    answers[0]?.(undefined)
    const { status, id } = await sending
    assert.equal(status, 'delivered')
    await time.pass(5_000)
    assert.deepEqual([alice.delivered, alice.expired], [[id], []])

    alice.transport = async () => {
      await turns(2)
      throw interrupted
    }
    const lost = await Promise.race([send('lost', { expiresInMs: 1_000 }), time.pass(20_000)])
    await time.pass(20_000)
    assert.equal(lost?.status ?? 'queued', 'queued')
    assert.equal(alice.expired.length, 1)
  })

  test('keeps to it whatever is done to the wall clock', async () => {
    const { time, alice, bob, connect, send } = scene()
    alice.service.start()
    await send('hello', { expiresInMs: 3_600_000 })
    time.sleep(1_000 * dayMs)
    await time.pass(3_599_000)
    assert.deepEqual(alice.expired, [])
    time.sleep(-5_000 * dayMs)
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['hello'])
  })

  test('waits a year when nothing is said, and for ever when that is said', async () => {
    const { time, alice, bob, connect, send } = scene()
    await send('usual')
    await send('for ever', { expiresInMs: Number.POSITIVE_INFINITY })
    await time.pass(364 * dayMs)
    alice.service.start()
    await time.pass(2 * dayMs)
    assert.equal(alice.expired.length, 1)
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['for ever'])
    alice.service.close()
    assert.equal(time.pending(), 0, 'a timer was left behind')
  })

  test('needs one that makes sense', async () => {
    const { alice, send } = scene()
    for (const expiresInMs of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      await assert.rejects(send('hello', { expiresInMs }), { code: 'invalid-argument' })
    }
    assert.deepEqual(alice.service.queued(), [])
  })
})

describe('receiving', () => {
  const envelope: Envelope = { id: 'abcdefghijklmnop', kind: 'text', body: 'hello', at: 1_700_000_000_000 }

  test('the same id of the same peer is acknowledged again and announced once', async () => {
    const { alice, bob } = scene()
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await handOver(bob, alice.peer, { messages: [envelope] }), { stored: true })
    }
    assert.equal(bob.arrived.length, 1)
    assert.equal(bob.arrived[0]?.at, '2023-11-14T22:13:20.000Z')
  })

  test('the same id of another peer is another message', async () => {
    const { alice, bob } = scene()
    await handOver(bob, alice.peer, { messages: [envelope] })
    await handOver(bob, makeSide(virtualClock()).peer, { messages: [envelope] })
    assert.equal(bob.arrived.length, 2)
  })

  test('what is no message is refused before anything is stored', async () => {
    const { alice, bob } = scene()
    const bad = [
      { ...envelope, id: 'short' },
      { ...envelope, id: `${envelope.id} ` },
      { ...envelope, kind: 'html' },
      { ...envelope, at: -1 },
      { ...envelope, at: 1.5 },
      { ...envelope, at: 8.65e15 },
      { ...envelope, kind: 'json', body: '{' },
      null,
      'hello',
    ]
    const deliveries = [
      ...bad.map((message) => ({ messages: [message] })),
      ...bad.map((message) => ({ messages: [envelope, message] })),
      { messages: [] },
      { messages: Array.from({ length: 257 }, () => envelope) },
      ...bad,
    ]
    for (const value of deliveries) {
      await assert.rejects(
        handOver(bob, alice.peer, value),
        { code: 'invalid-message' },
        JSON.stringify(value),
      )
    }
    assert.deepEqual(bob.service.received.list(), [])
  })

  test('a field that only a later version knows is passed over, and gets nowhere', async () => {
    const { alice, bob } = scene()
    const later = { messages: [{ ...envelope, from: 'somebody else' }], more: [1, 2] }
    assert.deepEqual(await handOver(bob, alice.peer, later), { stored: true })
    assert.deepEqual(
      bob.service.received.list().map(({ text, from }) => [text, from.id]),
      [['hello', alice.peer.slice(-16)]],
    )
    alice.transport = async () => ({ stored: true, at: 'a place that later versions tell' })
    const { status } = await alice.service.send(bob.peer, 'hello', { connected: async () => undefined })
    assert.equal(status, 'delivered')
  })

  test('the schema accepts its own output, as the protocol registry needs it', async () => {
    const { request } = makeSide(virtualClock()).service.protocol
    const once = await request['~standard'].validate({ messages: [envelope] })
    assert.ok(once.issues === undefined)
    assert.deepEqual(await request['~standard'].validate(once.value), { value: once.value, typed: true })
  })
})

describe('an inbox that is full', () => {
  test('what does not fit stays with its sender, who is told why, and goes when there is room', async () => {
    const { time, alice, bob, connect, send } = scene({ messages: 20 })
    connect()
    for (let number = 0; number < 10; number++) assert.equal((await send(`${number}`)).status, 'delivered')
    const waiting = await send('10')
    assert.equal(waiting.status, 'queued')
    for (let number = 11; number < 30; number++) assert.equal((await send(`${number}`)).status, 'queued')
    assert.deepEqual(
      alice.service.queued().map(({ waitsFor }) => waitsFor),
      Array(20).fill('inbox-full'),
    )
    assert.deepEqual([alice.held, bob.full, alice.retries], [1, 1, 0])
    assert.deepEqual(
      bob.service.received.amount().fullFor.map(({ id }) => id),
      [alice.peer.slice(-16)],
    )
    await time.pass(600_000)
    assert.equal(textsOf(bob).length, 10)
    assert.deepEqual([alice.held, bob.full], [1, 1])
    await bob.service.received.clear()
    assert.deepEqual(bob.service.received.amount(), { messages: 0, bytes: 0, fullFor: [] })
    await time.pass(60_000)
    assert.deepEqual(
      textsOf(bob),
      Array.from({ length: 10 }, (_, index) => `${index + 10}`),
    )
    assert.deepEqual(
      alice.service.queued().map(({ text, waitsFor }) => [text, waitsFor]),
      Array.from({ length: 10 }, (_, index) => [`${index + 20}`, 'inbox-full']),
    )
    assert.deepEqual([alice.held, bob.full], [1, 2])
    await bob.service.received.clear()
    await time.pass(60_000)
    assert.deepEqual(
      textsOf(bob),
      Array.from({ length: 10 }, (_, index) => `${index + 20}`),
    )
    assert.deepEqual(alice.service.queued(), [])
  })

  test('of what is too much together, as much goes as fits', async () => {
    const { time, alice, bob, connect, send } = scene({ messages: 20, bytes: 1_048_576 })
    await Promise.all(Array.from({ length: 8 }, () => send('x'.repeat(100_000))))
    connect()
    await time.pass(0)
    assert.deepEqual([textsOf(bob).length, alice.service.queued().length], [5, 3])
    assert.deepEqual([alice.held, bob.full], [1, 1])
  })

  test('it is asked with one message, and ever less often', async () => {
    const { time, alice, bob, send } = scene()
    const asked: [atMs: number, messages: number][] = []
    alice.transport = async ({ messages }) => {
      asked.push([time.monotonic(), messages.length])
      throw new DeclaredFailure('full', { code: 'inbox-full', data: {} })
    }
    alice.service.pump(bob.peer)
    await Promise.all([send('one'), send('two'), send('three')])
    await time.pass(300_000)
    assert.deepEqual(
      asked.map(([atMs, messages]) => [atMs / 1_000, messages]),
      [
        [0, 3],
        [5, 1],
        [15, 1],
        [35, 1],
        [75, 1],
        [135, 1],
        [195, 1],
        [255, 1],
      ],
    )
  })

  test('when what was refused has expired, the next message goes as soon as there is room', async () => {
    const { time, alice, bob, connect, send } = scene({ messages: 2 })
    connect()
    assert.equal((await send('one')).status, 'delivered')
    assert.equal((await send('two', { expiresInMs: 30_000 })).status, 'queued')
    await time.pass(120_000)
    assert.equal(alice.expired.length, 1)
    assert.deepEqual(
      alice.service.queued().map(({ state }) => state),
      ['expired'],
    )
    await bob.service.received.clear()
    assert.equal((await send('three')).status, 'delivered')
    assert.deepEqual(textsOf(bob), ['three'])
  })

  test('one who takes messages out one by one is not sent everything each time, nor told each time', async () => {
    const { time, alice, bob, connect, send } = scene({ messages: 4 })
    await Promise.all(Array.from({ length: 40 }, (_, number) => send(`${number}`)))
    const sizes: number[] = []
    connect()
    const { transport } = alice
    alice.transport = async (delivery, signal) => {
      sizes.push(delivery.messages.length)
      return transport?.(delivery, signal)
    }
    await time.pass(60_000)
    for (let round = 0; round < 5; round++) {
      const [oldest] = bob.service.received.list()
      assert.ok(oldest !== undefined)
      bob.service.received.remove(oldest.sequence)
      await time.pass(60_000)
    }
    assert.equal(sizes.shift(), 40)
    assert.ok(Math.max(...sizes) <= 4, String(sizes))
    assert.equal(alice.held, 1)
  })

  test('a receipt that was lost is given again, though nothing new would fit', async () => {
    const { alice, bob } = scene({ messages: 2 })
    const one: Envelope = { id: 'abcdefghijklmnop', kind: 'text', body: 'one', at: 1 }
    assert.deepEqual(await handOver(bob, alice.peer, { messages: [one] }), { stored: true })
    const two = { ...one, id: 'bcdefghijklmnopq' }
    await assert.rejects(handOver(bob, alice.peer, { messages: [two] }), /no room/)
    assert.deepEqual(await handOver(bob, alice.peer, { messages: [one] }), { stored: true })
  })
})

describe('reading', () => {
  test('what is there comes first, over any number of pages, then what arrives', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 250)
    const messages = bob.service.received.listen(0)
    assert.deepEqual(await take(messages, 250), numbers(0, 250))
    const next = take(messages, 2)
    await turns()
    await receive(bob, alice, 2, 250)
    assert.deepEqual(await next, numbers(250, 252))
  })

  test('it begins behind the sequence that was given', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 5)
    assert.deepEqual(await take(bob.service.received.listen(3), 2), ['3', '4'])
    assert.deepEqual(
      bob.service.received.list(3).map(({ sequence }) => sequence),
      [4, 5],
    )
  })

  test('every reader gets every message', async () => {
    const { alice, bob } = scene()
    const readers = [bob.service.received.listen(0), bob.service.received.listen(0)].map((messages) =>
      take(messages, 3),
    )
    await turns()
    await receive(bob, alice, 3)
    assert.deepEqual(await Promise.all(readers), [numbers(0, 3), numbers(0, 3)])
  })

  test('an aborted signal ends it, while it waits and between two messages', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 2)
    const end = new AbortController()
    const messages = bob.service.received.listen(0, end.signal)
    assert.deepEqual(await take(messages, 1), ['0'])
    end.abort()
    assert.deepEqual(await messages.next(), { done: true, value: undefined })

    const waiting = new AbortController()
    const next = bob.service.received.listen(2, waiting.signal).next()
    await turns()
    waiting.abort()
    assert.deepEqual(await next, { done: true, value: undefined })
  })

  test('closing ends it', async () => {
    const { bob } = scene()
    const next = bob.service.received.listen(0).next()
    await turns()
    bob.service.close()
    assert.deepEqual(await next, { done: true, value: undefined })
    assert.deepEqual(await bob.service.received.listen(0).next(), { done: true, value: undefined })
  })

  test('goes on across messages that were removed, with sequences that are not used again', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 450)
    const messages = bob.service.received.listen(0)
    assert.deepEqual(await take(messages, 3), numbers(0, 3))
    assert.equal(bob.service.received.remove(450), true)
    assert.equal(await bob.service.received.clear(440), 440)
    await receive(bob, alice, 1, 450)
    // What was read in one page before it was removed is still handed out.
    const rest = await take(messages, 97 + 9 + 1)
    assert.deepEqual(rest.slice(97), [...numbers(440, 449), '450'])
    assert.equal(bob.service.received.list().at(-1)?.sequence, 451)
    assert.equal(await bob.service.received.clear(), 10)
    assert.deepEqual(bob.service.received.list(), [])
  })

  test('messages that arrive while the inbox is cleared stay', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 450)
    const clearing = bob.service.received.clear()
    await receive(bob, alice, 1, 450)
    assert.equal(await clearing, 450)
    assert.deepEqual(textsOf(bob), ['450'])
  })
})

async function receive(bob: Side, from: Side, count: number, start = 0): Promise<void> {
  for (let number = start; number < start + count; number++) {
    const id = `received-${String(number).padStart(8, '0')}`
    await handOver(bob, from.peer, { messages: [{ id, kind: 'text', body: String(number), at: number }] })
  }
}

async function take(messages: AsyncIterableIterator<Message>, count: number): Promise<string[]> {
  const texts: string[] = []
  for (let number = 0; number < count; number++) {
    const { value } = (await messages.next()) as IteratorYieldResult<Message>
    texts.push(String(value.text))
  }
  return texts
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => String(from + index))
}

function waiting(side: Side): (string | null)[][] {
  return side.service.queued().map(({ text = '', waitsFor }) => [text.slice(0, 7), waitsFor])
}

describe('to a device of another version', () => {
  for (const [versions, waitsFor] of [
    [[3, 2], 'update-here'],
    [[], 'update-there'],
  ] as const) {
    test(
      `that serves ${versions.length === 0 ? 'no messages' : 'newer messages only'}: they wait, it is told which side to update, and an update delivers them`,
      { timeout: 10_000 },
      async () => {
        const { time, alice, bob, connect, send } = scene()
        let asked = 0
        alice.transport = async () => {
          asked++
          throw new UnknownProtocolError('not served', versions)
        }
        const sending = send('hello')
        await time.pass(10_000)
        assert.equal((await sending).status, 'queued')
        assert.equal((await send('again')).status, 'queued', 'at once')
        assert.deepEqual(waiting(alice), [
          ['hello', waitsFor],
          ['again', waitsFor],
        ])
        await time.pass(3_600_000)
        assert.equal(asked, 1, 'until there is another session')
        connect()
        await turns()
        assert.deepEqual(textsOf(bob), ['hello', 'again'])
        assert.deepEqual(waiting(alice), [])
        alice.transport = null
        await send('later')
        assert.deepEqual(waiting(alice), [['later', 'device']])
      },
    )
  }
})

describe('over a path with limits', () => {
  const limited = { messageBytes: 32_768, roomBytes: 32_768 }
  const large = 'L'.repeat(200_000)

  test('a large message waits for a better one, those behind it do not, and then it goes at once', async () => {
    const { alice, bob, connect, send } = scene()
    await send(large)
    for (let number = 0; number < 10; number++) await send(`small ${number}`)
    assert.ok(waiting(alice).every(([, waitsFor]) => waitsFor === 'device'))
    alice.budget = limited
    connect()
    await turns()
    assert.deepEqual(
      textsOf(bob),
      Array.from({ length: 10 }, (_, number) => `small ${number}`),
    )
    assert.deepEqual(waiting(alice), [['LLLLLLL', 'better-path']])
    // Without the ten seconds for which a receipt is waited.
    assert.equal((await send(large)).status, 'queued')
    assert.equal((await send('small 10')).status, 'delivered')
    alice.budget = null
    connect()
    await turns()
    assert.deepEqual(textsOf(bob).slice(10), ['small 10', large, large])
    assert.deepEqual(waiting(alice), [])
  })

  test('no delivery is larger than the path carries, whatever the texts hold, and they keep their order', async () => {
    const { alice, bob, send } = scene()
    alice.budget = limited
    const texts = Array.from({ length: 60 }, (_, number) =>
      ['\u0001', '"\\', 'é😀', '\u0000', 'x'][number % 5]?.repeat(1_200).concat(String(number)),
    )
    for (const text of texts) await send(text ?? '')
    const sizes: number[] = []
    alice.transport = (delivery) => {
      sizes.push(Buffer.byteLength(JSON.stringify(delivery)))
      return handOver(bob, alice.peer, delivery)
    }
    alice.service.pump(asPeer(bob.peer))
    for (let round = 0; round < 60 && alice.store.outbox.count() > 0; round++) await turns()
    assert.deepEqual(textsOf(bob), texts)
    assert.ok(Math.max(...sizes) <= limited.messageBytes, `${Math.max(...sizes)} bytes`)
  })

  test('what fits the path but not what is left of it waits for the next connection', async () => {
    const { alice, bob, connect, send } = scene()
    alice.budget = { ...limited, roomBytes: 1_000 }
    connect()
    await send('x'.repeat(20_000), { signal: AbortSignal.abort() }).catch(() => undefined)
    assert.equal((await send('small')).status, 'delivered')
    assert.deepEqual(waiting(alice), [['xxxxxxx', null]])
    alice.budget = limited
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['small', 'x'.repeat(20_000)])
  })
})
