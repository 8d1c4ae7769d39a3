import assert from 'node:assert/strict'
import * as v from 'valibot'
import { defineEvent, defineProtocol, isProtocolError, UnknownProtocolError } from '../../../src/index.ts'
import { until, within } from '../../network/real-hosts.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'
import { couple, roles } from './couple.ts'

const errors = { 'no-such-thing': v.object({ asked: v.unknown() }) }
const echo = defineProtocol({ name: 'interop-echo', version: 1, request: v.unknown(), response: v.unknown() })
const echo2 = defineProtocol({
  name: 'interop-echo',
  version: 2,
  request: v.string(),
  response: v.object({ echo: v.string() }),
})
const fail = defineProtocol({
  name: 'interop-fail',
  version: 1,
  request: v.unknown(),
  response: v.unknown(),
  errors,
})
const shout = defineEvent({ name: 'interop-shout', version: 1, event: v.unknown() })

/** What is said on a session, with the foreign device as its dialer and as its listener. */
export function sessionScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)
  for (const role of roles) {
    scenario(`messages both ways, and pings; theirs is the ${role}`, async (stage) => {
      const { node, theirs, device } = await couple(stage, role)
      assert.equal((await device.send('to theirs')).status, 'delivered')
      const came = await theirs.event('message')
      assert.deepEqual([came.kind, came.body], ['text', 'to theirs'])
      await device.send({ json: { deep: [1, 'ü', null] } })
      assert.deepEqual(JSON.parse(String((await theirs.event('message')).body)), { deep: [1, 'ü', null] })
      await theirs.call('send', { peerId: node.peerId, kind: 'text', body: 'to ours' })
      await theirs.call('send', { peerId: node.peerId, kind: 'json', body: '{"a":1}' })
      assert.deepEqual(
        node.inbox().map(({ text, json }) => text ?? json),
        ['to ours', { a: 1 }],
      )
      const { roundTripMs } = await device.ping()
      const { ms = NaN } = await theirs.call('ping', { peerId: node.peerId })
      assert.ok(ms > 0)
      stage.saw(`ping of ours ${roundTripMs.toFixed(1)} ms, of theirs ${ms.toFixed(1)} ms`)
    })

    scenario(`requests of ours, and how they fail; theirs is the ${role}`, async (stage) => {
      const { device } = await couple(stage, role)
      const large = 'x'.repeat(200_000)
      for (const value of ['hello', { a: [1, 2, { b: null }] }, 'ünï ©ode 🛰', large]) {
        assert.deepEqual(await device.request(echo, value), value)
      }
      assert.deepEqual(await device.request(echo2, 'hello'), { echo: 'hello' })
      assert.equal(await device.request(echo, undefined), undefined)
      await assert.rejects(device.request(fail, 'it'), (error) => {
        assert.ok(isProtocolError(error, fail))
        assert.deepEqual([error.code, error.data], ['no-such-thing', { asked: 'it' }])
        return true
      })
      const other = defineProtocol({ ...echo, name: 'interop-echo', version: 7 })
      await assert.rejects(device.request(other, 'hello'), (error) => {
        assert.ok(error instanceof UnknownProtocolError)
        assert.deepEqual(error.versions, [2, 1])
        return true
      })
      assert.deepEqual(await device.versionsOf('interop-echo'), [2, 1])
      assert.deepEqual(await device.versionsOf('interop-nothing'), [])
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) => device.request(echo, index)),
      )
      assert.deepEqual(
        answers,
        Array.from({ length: 100 }, (_, index) => index),
      )
    })

    scenario(`requests of theirs, and how they fail; theirs is the ${role}`, async (stage) => {
      const { node, theirs } = await couple(stage, role, (ours) => {
        ours.handle(defineProtocol({ ...echo, handler: (value) => value }))
        ours.handle(
          defineProtocol({
            ...fail,
            handler: (asked, { error }) => {
              throw error('no-such-thing', { asked })
            },
          }),
        )
      })
      const { peerId } = node
      const ask = { peerId, name: 'interop-echo', version: 1 }
      for (const body of ['hello', { a: [1, 2] }, 'x'.repeat(200_000)]) {
        assert.deepEqual((await theirs.call('request', { ...ask, body })).body, body)
      }
      assert.equal('body' in (await theirs.call('request', ask)), false)
      const declared = await theirs.fails('request', { ...ask, name: 'interop-fail', body: 'it' })
      assert.equal(declared.code, 'remote-failure')
      assert.deepEqual(declared.declared, { code: 'no-such-thing', data: { asked: 'it' } })
      const unknown = await theirs.fails('request', { ...ask, version: 7, body: 1 })
      assert.deepEqual([unknown.code, unknown.versions], ['unknown-protocol', [1]])
      const nowhere = await theirs.fails('request', { ...ask, name: 'interop-nothing', body: 1 })
      assert.equal(nowhere.code, 'unknown-protocol')
      assert.deepEqual((await theirs.call('versions', { peerId, name: 'interop-echo' })).versions, [1])
      const wrong = await theirs.fails('request', { peerId, name: 'spacedock-message', version: 1, body: 7 })
      assert.equal(wrong.code, 'invalid-message')
    })

    scenario(`events and topics both ways; theirs is the ${role}`, async (stage) => {
      const heard: unknown[] = []
      const { node, theirs, device } = await couple(stage, role, (ours) => {
        ours.handle(defineEvent({ ...shout, handler: (event) => void heard.push(event) }))
      })
      const emit = { peerId: node.peerId, name: 'interop-shout', version: 1 }
      // More than the window has room for: without credit they would stop.
      const long = 'x'.repeat(50_000)
      const indexes = Array.from({ length: 20 }, (_, index) => index)
      await Promise.all(indexes.map(() => theirs.call('emit', { ...emit, body: long })))
      for (const index of indexes) await theirs.call('emit', { ...emit, body: index })
      await until(() => heard.length === 40, 'all events of theirs have come')
      assert.deepEqual(heard.slice(20), indexes)
      for (let index = 0; index < 20; index += 1) await device.emit(shout, [index, long])
      for (let index = 0; index < 20; index += 1) {
        assert.deepEqual((await theirs.event('event')).body, [index, long])
      }

      const subscription = node.subscribe('notes')
      const next = subscription.next()
      await theirs.call('subscribe', { topic: 'news' })
      await untilTo(() => theirs.call('publish', { topic: 'notes', body: { n: 1 } }), node.peerId)
      assert.deepEqual((await within(next, 'a publication of theirs')).value?.value, { n: 1 })
      const reached = await node.publish('news', ['fresh'])
      assert.deepEqual(
        reached.map(({ peerId }) => peerId),
        [theirs.peerId],
      )
      const publication = await theirs.event('publication')
      assert.deepEqual([publication.topic, publication.body], ['news', ['fresh']])
      await subscription.return?.()
    })

    scenario(`closed in order, and connected again; theirs is the ${role}`, async (stage) => {
      const { node, theirs, device } = await couple(stage, role)
      await theirs.down()
      await until(() => device.state !== 'connected', 'the foreign device is away')
      const queued = await device.send('while it was away')
      assert.equal(queued.status, 'queued')
      await theirs.up()
      // It listens on another port now, which ours cannot know: it has to dial.
      await theirs.call('connect', { peerId: node.peerId, addresses: node.status().listen })
      assert.equal((await theirs.event('message')).body, 'while it was away')
    })
  }

  scenario('ours ends in order, and theirs connects to it after a restart', async (stage) => {
    const dataDir = await stage.directory()
    const { node, theirs } = await couple(stage, 'dialer', undefined, { dataDir })
    await node.close()
    await theirs.event('disconnected')
    const again = await stage.node('alice', { dataDir })
    await theirs.call('connect', { peerId: again.peerId, addresses: again.status().listen })
    await until(() => again.devices()[0]?.state === 'connected', 'connected again')
  })
}

/** Publishes until it is sent to that peer: what it subscribes to may still be on its way. */
async function untilTo(publish: () => Promise<{ to?: string[] }>, peerId: string): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const { to = [] } = await publish()
    if (to.includes(peerId)) return
    assert.ok(performance.now() < deadline, 'it never learnt of the subscription')
  }
}
