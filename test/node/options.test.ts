import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import * as v from 'valibot'
import type { NodeOptions, SpacedockNode } from '../../src/api.ts'
import {
  defineEvent,
  defineProtocol,
  defineStream,
} from '../../src/network/application/protocol-definitions.ts'
import { createNode } from '../../src/node.ts'
import { createSimulation, simulate } from '../../src/testing/index.ts'
import { nextEvent, TestNodes } from './nodes.ts'

const echo = { name: 'echo', version: 1, request: v.string(), response: v.string() }

test('an option that there is not is refused, and the nearest one named, before anything is opened', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const make = async (options: object): Promise<SpacedockNode> => createNode({ dataDir, ...options })
  await assert.rejects(make({ rendevous: [] }), {
    code: 'invalid-argument',
    message: 'There is no option "rendevous" of createNode.',
    hint: 'Did you mean "rendezvous"?',
    option: 'rendevous',
  })
  await assert.rejects(make({ messages: { inboxDay: 3 } }), {
    code: 'invalid-argument',
    hint: 'Did you mean "inboxDays"?',
    option: 'messages.inboxDay',
  })
  const misfits = {
    dataDir: undefined,
    name: 5,
    port: 65_536,
    interfaces: 'lo',
    rendezvous: [5],
    lanOnly: 'yes',
    dht: 'none',
    messages: null,
    setUp: {},
    clock: 'now',
  }
  for (const [option, value] of Object.entries(misfits)) {
    await assert.rejects(
      make({ [option]: value }),
      { code: 'invalid-argument', option, hint: /^Give / },
      option,
    )
  }
  await assert.rejects(createNode(undefined as unknown as NodeOptions), { code: 'invalid-argument' })
})

test('a network interface that this system has not is refused, also beside one that it has', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [known = ''] = Object.keys(networkInterfaces())
  for (const interfaces of [[`${known}x`], [known, `${known}x`]]) {
    await assert.rejects(createNode({ dataDir, interfaces }), {
      code: 'invalid-argument',
      message: `No network interface is called ${known}x.`,
      option: 'interfaces',
      hint: /^(?:Did you mean "|There is ).*[.?]$/u,
    })
  }
  await assert.rejects(createNode({ dataDir, interfaces: [] }), {
    code: 'invalid-argument',
    option: 'interfaces',
  })
})

test('every call that takes options refuses one that there is not', async () => {
  await using nodes = new TestNodes()
  const { alice, bobAtAlice } = await nodes.pair()
  // Of the wrong spelling, as a program without types may have it.
  const wrong = { singal: AbortSignal.abort() } as unknown as { signal: AbortSignal }
  const event = defineEvent({ name: 'tick', version: 1, event: v.string() })
  const stream = defineStream({ name: 'bytes', version: 1, request: v.string() })
  const calls: Record<string, () => unknown> = {
    pair: () => alice.pair(wrong),
    join: () => alice.join('words', wrong),
    send: () => bobAtAlice.send('text', wrong),
    request: () => bobAtAlice.request(defineProtocol(echo), 'text', wrong),
    openStream: () => bobAtAlice.openStream(stream, 'text', wrong),
    emit: () => bobAtAlice.emit(event, 'text', wrong),
    versionsOf: () => bobAtAlice.versionsOf('echo', wrong),
    ping: () => bobAtAlice.ping(wrong),
    subscribe: () => alice.subscribe('topic', wrong),
    messages: () => alice.messages(wrong),
    inbox: () => alice.inbox(wrong as object),
    clearInbox: () => alice.clearInbox(wrong as object),
    createSimulation: () => createSimulation(wrong as object),
    simulate: () => simulate(wrong as object, async () => {}),
    faults: () => createSimulation({ faults: wrong as object }),
  }
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(
      async () => call(),
      { code: 'invalid-argument', message: `There is no option "singal" of ${name}.`, option: 'singal' },
      name,
    )
  }
  await using simulation = createSimulation()
  await assert.rejects(simulation.device('laptop', wrong as object), { option: 'singal' })
})

test('a code that the device shows itself is refused at once', async () => {
  await using nodes = new TestNodes()
  const node = await nodes.make('alice')
  const invitation = await node.pair()
  const refused = { code: 'invalid-argument', message: 'This code is shown by this device itself.' }
  await assert.rejects(node.join(invitation.words), refused)
  await assert.rejects(node.join(invitation.uri), refused)
  await invitation.cancel()
  await assert.rejects(node.join(invitation.words, { timeoutMs: 1 }), { code: 'not-found' })
})

test('what setUp registers serves the first request of a device that waits for this one', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob', { dataDir })])
  const connected = nextEvent(alice, 'device:connected')
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const bobAtAlice = await invitation.paired
  await connected
  const lost = nextEvent(alice, 'device:disconnected')
  await bob.close()
  await lost

  const answer = Promise.withResolvers<string>()
  alice.addEventListener(
    'device:connected',
    () => void bobAtAlice.request(defineProtocol(echo), 'first').then(answer.resolve, answer.reject),
    { once: true },
  )
  const heard: string[] = []
  const setUp = (node: SpacedockNode): void => {
    assert.equal(node.metrics().connections.open.direct, 0)
    node.handle(defineProtocol({ ...echo, handler: (text) => text }))
    node.addEventListener('device:connected', ({ detail }) => void heard.push(detail.name), { once: true })
  }
  await nodes.make('bob', { dataDir, setUp })
  assert.equal(await answer.promise, 'first')
  assert.deepEqual(heard, ['alice'])
})

test('what setUp throws, createNode rejects with, and the data directory is free again', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const failure = new Error('no handlers today')
  const setUp = (): void => {
    throw failure
  }
  await assert.rejects(nodes.make('alice', { dataDir, setUp }), failure)
  await nodes.make('alice', { dataDir })
})
