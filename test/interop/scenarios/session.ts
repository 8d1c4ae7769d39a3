import assert from 'node:assert/strict'
import * as v from 'valibot'
import type { Device, SpacedockNode } from '../../../src/api.ts'
import { defineEvent, defineProtocol, defineStream, isProtocolError } from '../../../src/index.ts'
import { TestNodes } from '../../node/nodes.ts'
import { until } from '../../network/real-hosts.ts'
import type { ForeignDevice } from '../foreign-device.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'

/** What interop/README.md says that a program serves; ours serves the same. */
const echo = defineProtocol({ name: 'interop-echo', version: 1, request: v.any(), response: v.any() })
const echo2 = defineProtocol({ name: 'interop-echo', version: 2, request: v.any(), response: v.any() })
const fail = defineProtocol({
  name: 'interop-fail',
  version: 1,
  request: v.any(),
  response: v.any(),
  errors: { 'no-such-thing': v.object({ asked: v.any() }) },
})
const mirror = defineStream({ name: 'interop-mirror', version: 1, request: v.any() })
const shout = defineEvent({ name: 'interop-shout', version: 1, event: v.any() })

/** What two paired devices do over their session. */
export function sessionScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('theirs and ours exchange messages, requests and pings', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const { alice, bob, bobAtAlice, peerId } = await pairAndConnect(nodes, await theirs('bob'))
    assert.equal((await bobAtAlice.send('from ours')).status, 'delivered')
    const message = await bob.event('message')
    assert.deepEqual([message.kind, message.body], ['text', 'from ours'])
    await bob.call('send', { peerId, kind: 'json', body: '{"from":"theirs"}' })
    assert.deepEqual(alice.inbox().at(-1)?.json, { from: 'theirs' })

    const large = 'x'.repeat(300_000)
    assert.equal(await bobAtAlice.request(echo, large), large)
    assert.deepEqual(await bobAtAlice.request(echo2, [1]), { echo: [1] })
    assert.equal(
      (await bob.call('request', { peerId, name: 'interop-echo', version: 1, body: large })).body,
      large,
    )
    await assert.rejects(bobAtAlice.request(fail, 7), (error) => {
      return isProtocolError(error, fail) && error.code === 'no-such-thing'
    })
    assert.deepEqual(await bobAtAlice.versionsOf('interop-echo'), [2, 1])
    assert.deepEqual((await bob.call('versions', { peerId, name: 'interop-echo' })).versions, [1])
    const failure = await bob.fails('request', { peerId, name: 'interop-echo', version: 9 })
    assert.deepEqual([failure.code, failure.versions], ['unknown-protocol', [1]])
    assert.ok((await bobAtAlice.ping()).roundTripMs >= 0)
    assert.ok(((await bob.call('ping', { peerId })).ms ?? -1) >= 0)
  })

  scenario('theirs and ours open byte streams', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const { bob, bobAtAlice, peerId } = await pairAndConnect(nodes, await theirs('bob'))
    const stream = await bobAtAlice.openStream(mirror, null)
    const sent = Buffer.alloc(3_000_000, 7)
    const sending = new Blob([sent]).stream().pipeTo(stream.writable)
    const chunks: Uint8Array[] = []
    for await (const chunk of stream.readable) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(sent))
    await sending
    const bytes = 3_000_000
    const checked = await bob.call('stream', { peerId, name: 'interop-mirror', version: 1, bytes })
    assert.deepEqual(checked, { sent: bytes, received: bytes, intact: true })
    const failure = await bob.fails('stream', { peerId, name: 'interop-nothing', version: 1, bytes: 1 })
    assert.equal(failure.code, 'unknown-protocol')
    const unknown = defineStream({ name: 'interop-nothing', version: 1, request: v.any() })
    await assert.rejects(bobAtAlice.openStream(unknown, null), { code: 'unknown-protocol' })
  })

  scenario('theirs and ours exchange events and publications', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const { alice, bob, bobAtAlice, peerId } = await pairAndConnect(nodes, await theirs('bob'))
    const heard: unknown[] = []
    alice.handle({ ...shout, handler: (event) => void heard.push(event) })
    for (let number = 0; number < 3_000; number++) await bobAtAlice.emit(shout, { number })
    await bob.event('event', ({ body }) => JSON.stringify(body) === '{"number":2999}')
    await bob.call('emit', { peerId, name: 'interop-shout', version: 1, body: 'hello' })
    await until(() => heard.length === 1, 'the event of theirs')
    await bob.call('subscribe', { topic: 'weather' })
    await alice.publish('weather', 'rain')
    assert.equal((await bob.event('publication')).body, 'rain')
  })

  scenario('theirs and ours find each other again after a restart of either', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const dataDir = await nodes.directory()
    const { alice, bob, peerId } = await pairAndConnect(nodes, await theirs('bob'), { dataDir })
    const gone = until(() => alice.devices()[0]?.state !== 'connected', 'bob gone')
    await bob.down()
    await gone
    await bob.up()
    await bob.call('connect', { peerId, addresses: alice.status().listen })
    await until(() => alice.devices()[0]?.state === 'connected', 'bob back')
    await alice.close()
    await bob.event('disconnected')
    const again = await nodes.make('alice', { dataDir })
    await bob.call('connect', { peerId, addresses: again.status().listen })
    await until(() => again.devices()[0]?.state === 'connected', 'alice back')
  })

  scenario('theirs revokes ours, ours revokes them, and each is told', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const { alice, bob, bobAtAlice, peerId } = await pairAndConnect(nodes, await theirs('bob'))
    await bob.call('revoke', { peerId })
    await until(() => bobAtAlice.needsPairing === 'revoked', 'alice was told')

    const { words = '' } = await bob.call('invite')
    const again = await alice.join(words, { peers: bob.addresses })
    // Only who has finished the hello can be told at once.
    await Promise.all([bob.event('connected'), until(() => again.state === 'connected', 'connected again')])
    await again.revoke()
    await bob.event('revoked')
    const failure = await bob.fails('connect', { peerId, addresses: alice.status().listen })
    assert.equal(failure.code, 'not-paired')
  })

  scenario('theirs is told of a revocation when they come back', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const { alice, bob, bobAtAlice, peerId } = await pairAndConnect(nodes, await theirs('bob'))
    await bob.down()
    await bobAtAlice.revoke()
    await bob.up()
    await bob.fails('connect', { peerId, addresses: alice.status().listen })
    await bob.event('revoked')
  })
}

interface Pair {
  alice: SpacedockNode
  bob: ForeignDevice
  bobAtAlice: Device
  /** Of `alice`. */
  peerId: string
}

async function pairAndConnect(
  nodes: TestNodes,
  bob: ForeignDevice,
  options: { dataDir?: string } = {},
): Promise<Pair> {
  const alice = await nodes.make('alice', options)
  alice.handle({ ...echo, handler: (value) => value })
  alice.handle({
    ...mirror,
    handler: async (_, stream) => {
      await stream.readable.pipeTo(stream.writable)
    },
  })
  const { words = '' } = await bob.call('invite')
  const bobAtAlice = await alice.join(words, { peers: bob.addresses })
  const { peerId } = alice.status()
  await bob.event('paired')
  await bob.call('connect', { peerId, addresses: alice.status().listen })
  await Promise.all([bob.event('connected'), until(() => bobAtAlice.state === 'connected', 'connected')])
  return { alice, bob, bobAtAlice, peerId }
}
