import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Device, Message } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import { MessagingService, type Envelope } from '../../src/protocols/messaging.ts'
import { openMemoryStore, type Store } from '../../src/store/store.ts'
import { turns, virtualClock, type VirtualClock } from '../network/virtual-clock.ts'

/** Two services over real boxes in memory; what lies between them is in the test's hand. */

type Transport = (envelope: Envelope, signal: AbortSignal) => Promise<unknown>

interface Side {
  peer: string
  store: Store
  service: MessagingService
  arrived: Message[]
  delivered: string[]
  /** How the other side is reached; null while there is no session. */
  transport: Transport | null
}

function makeSide(time: VirtualClock): Side {
  const store = openMemoryStore({ clock: time })
  let nextId = 0
  const side: Side = {
    peer: store.identity.peerId,
    store,
    arrived: [],
    delivered: [],
    transport: null,
    service: new MessagingService({
      inbox: store.inbox,
      outbox: store.outbox,
      clock: time,
      log: () => undefined,
      randomId: () => `message-${String(nextId++).padStart(8, '0')}`,
      requestOf: () => {
        const { transport } = side
        return transport === null ? null : (envelope, { signal }) => transport(envelope, signal)
      },
      nameOf: (peer) => ({ id: peer.slice(-16), name: 'the other one' }),
      onMessage: (message) => side.arrived.push(message),
      onDelivered: ({ id }) => side.delivered.push(id),
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
  return handler(checked.value, { device, signal: new AbortController().signal, error: () => new Error() })
}

function scene(): { time: VirtualClock; alice: Side; bob: Side; connect: () => void; send: Send } {
  const time = virtualClock()
  const [alice, bob] = [makeSide(time), makeSide(time)]
  return {
    time,
    alice,
    bob,
    connect: () => {
      alice.transport = (envelope) => handOver(bob, alice.peer, envelope)
      alice.service.pump(bob.peer)
    },
    send: (content, options = {}) =>
      alice.service.send(bob.peer, content, options.connected ?? (async () => undefined), options.signal),
  }
}

type Send = (
  content: Parameters<MessagingService['send']>[1],
  options?: { connected?: () => Promise<void>; signal?: AbortSignal },
) => ReturnType<MessagingService['send']>

const interrupted = new SpacedockError('interrupted', 'The session ended.')

function textsOf(side: Side): (string | undefined)[] {
  return side.service.inboxMessages().map(({ text }) => text)
}

describe('sending', () => {
  test('a connected device has the message when send resolves, and the outbox is empty', async () => {
    const { alice, bob, connect, send } = scene()
    connect()
    const { id, status } = await send('hello')
    assert.equal(status, 'delivered')
    assert.deepEqual(alice.delivered, [id])
    assert.deepEqual(alice.service.outboxMessages(), [])
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
    assert.deepEqual(alice.service.outboxMessages(), [])
  })

  test('without a session messages are queued, and go out in order as soon as there is one', async () => {
    const { alice, bob, connect, send } = scene()
    for (const text of ['one', 'two', 'three']) assert.equal((await send(text)).status, 'queued')
    assert.deepEqual(
      alice.service.outboxMessages().map(({ text, to }) => [text, to.name]),
      [
        ['one', 'the other one'],
        ['two', 'the other one'],
        ['three', 'the other one'],
      ],
    )
    connect()
    await turns()
    assert.deepEqual(textsOf(bob), ['one', 'two', 'three'])
    assert.deepEqual(alice.service.outboxMessages(), [])
  })

  test('a device that does not answer within ten seconds makes it "queued", and it stays queued', async () => {
    const { time, alice, send } = scene()
    alice.transport = () => new Promise(() => undefined)
    const sending = send('hello')
    await time.pass(9_999)
    assert.equal(await Promise.race([sending, turns().then(() => 'still waiting')]), 'still waiting')
    await time.pass(1)
    assert.equal((await sending).status, 'queued')
    assert.equal(alice.service.outboxMessages().length, 1)
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
    alice.transport = async (envelope) => {
      sessions++
      const receipt = await handOver(bob, alice.peer, envelope)
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
    alice.transport = async (envelope) => {
      asked.push(envelope.body)
      if (isFull) throw new SpacedockError('remote-failure', 'The disk is full.')
      return handOver(bob, alice.peer, envelope)
    }
    const sending = Promise.all([send('one'), send('two')])
    await time.pass(4_999)
    assert.deepEqual(asked, ['one'])
    isFull = false
    await time.pass(1)
    await sending
    assert.deepEqual(asked, ['one', 'one', 'two'])
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
    assert.equal(alice.service.outboxMessages().length, 1)
  })
})

describe('receiving', () => {
  const envelope: Envelope = { id: 'abcdefghijklmnop', kind: 'text', body: 'hello', at: 1_700_000_000_000 }

  test('the same id of the same peer is acknowledged again and announced once', async () => {
    const { alice, bob } = scene()
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await handOver(bob, alice.peer, envelope), { stored: true })
    }
    assert.equal(bob.arrived.length, 1)
    assert.equal(bob.arrived[0]?.at, '2023-11-14T22:13:20.000Z')
  })

  test('the same id of another peer is another message', async () => {
    const { alice, bob } = scene()
    await handOver(bob, alice.peer, envelope)
    await handOver(bob, makeSide(virtualClock()).peer, envelope)
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
      { ...envelope, from: 'somebody else' },
      { ...envelope, kind: 'json', body: '{' },
      null,
      'hello',
    ]
    for (const value of bad) {
      await assert.rejects(
        handOver(bob, alice.peer, value),
        { code: 'invalid-message' },
        JSON.stringify(value),
      )
    }
    assert.deepEqual(bob.service.inboxMessages(), [])
  })

  test('the schema accepts its own output, as the protocol registry needs it', async () => {
    const { request } = makeSide(virtualClock()).service.protocol
    const once = await request['~standard'].validate(envelope)
    assert.ok(once.issues === undefined)
    assert.deepEqual(await request['~standard'].validate(once.value), { value: once.value, typed: true })
  })
})

describe('reading', () => {
  test('what is there comes first, over any number of pages, then what arrives', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 250)
    const messages = bob.service.messages(0)
    assert.deepEqual(await take(messages, 250), numbers(0, 250))
    const next = take(messages, 2)
    await turns()
    await receive(bob, alice, 2, 250)
    assert.deepEqual(await next, numbers(250, 252))
  })

  test('it begins behind the sequence that was given', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 5)
    assert.deepEqual(await take(bob.service.messages(3), 2), ['3', '4'])
    assert.deepEqual(
      bob.service.inboxMessages(3).map(({ sequence }) => sequence),
      [4, 5],
    )
  })

  test('every reader gets every message', async () => {
    const { alice, bob } = scene()
    const readers = [bob.service.messages(0), bob.service.messages(0)].map((messages) => take(messages, 3))
    await turns()
    await receive(bob, alice, 3)
    assert.deepEqual(await Promise.all(readers), [numbers(0, 3), numbers(0, 3)])
  })

  test('an aborted signal ends it, while it waits and between two messages', async () => {
    const { alice, bob } = scene()
    await receive(bob, alice, 2)
    const end = new AbortController()
    const messages = bob.service.messages(0, end.signal)
    assert.deepEqual(await take(messages, 1), ['0'])
    end.abort()
    assert.deepEqual(await messages.next(), { done: true, value: undefined })

    const waiting = new AbortController()
    const next = bob.service.messages(2, waiting.signal).next()
    await turns()
    waiting.abort()
    assert.deepEqual(await next, { done: true, value: undefined })
  })

  test('closing ends it', async () => {
    const { bob } = scene()
    const next = bob.service.messages(0).next()
    await turns()
    bob.service.close()
    assert.deepEqual(await next, { done: true, value: undefined })
    assert.deepEqual(await bob.service.messages(0).next(), { done: true, value: undefined })
  })
})

async function receive(bob: Side, from: Side, count: number, start = 0): Promise<void> {
  for (let number = start; number < start + count; number++) {
    const id = `received-${String(number).padStart(8, '0')}`
    await handOver(bob, from.peer, { id, kind: 'text', body: String(number), at: number })
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
