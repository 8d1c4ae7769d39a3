import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import type { Device, Protocol } from '../../../src/api.ts'
import {
  ApplicationProtocols,
  callProtocol,
  defineProtocol,
} from '../../../src/network/application/application-protocols.ts'
import { asPeer } from '../../peers.ts'
import { call } from '../session/calls.ts'

const request = v.object({ text: v.string(), tags: v.optional(v.array(v.object({ name: v.string() }))) })
const response = v.object({ length: v.number() })
const notes = defineProtocol({
  name: 'notes',
  version: 2,
  request,
  response,
  handler: ({ text }) => ({ length: text.length }),
})
const laptop = { id: 'laptop' } as Device
const signal = new AbortController().signal

/** Protocols that one paired device may use. */
function served(): ApplicationProtocols {
  const protocols = new ApplicationProtocols()
  protocols.serveTo({ trusted: (peer) => (peer === 'paired' ? laptop : undefined) })
  return protocols
}

test('a definition that is wrong is refused, with the reason', () => {
  const wrong: [change: Record<string, unknown>, message: RegExp][] = [
    [{ name: '' }, /protocol name/],
    [{ name: 'Notes' }, /protocol name/],
    [{ name: '1notes' }, /protocol name/],
    [{ name: '__proto__' }, /protocol name/],
    [{ name: 'a'.repeat(65) }, /protocol name/],
    [{ name: 'notes\n' }, /protocol name/],
    [{ version: 0 }, /version/],
    [{ version: 1.5 }, /version/],
    [{ version: '1' }, /version/],
    [{ version: 2 ** 32 }, /version/],
    [{ request: {} }, /request .* schema/],
    [{ response: undefined }, /response .* schema/],
    [{ handler: 'later' }, /handler/],
  ]
  for (const [change, message] of wrong) {
    const definition = { ...notes, ...change } as unknown as Protocol<unknown, unknown>
    assert.throws(() => defineProtocol(definition), { code: 'invalid-argument', message })
  }
  for (const name of ['a', 'notes-2', 'a'.repeat(64)])
    assert.equal(defineProtocol({ ...notes, name }).name, name)
})

test('the handler gets the checked request and the device that asks', async () => {
  const protocols = served()
  const asked: unknown[] = []
  protocols.register({
    ...notes,
    handler: (value, context) => {
      asked.push([value, context.device, context.signal])
      return { length: 1 }
    },
  })
  const value = { text: 'hi', claims: { device: 'other' } }
  assert.deepEqual(await protocols.request(call('notes', 2, value), { peerId: asPeer('paired'), signal }), {
    length: 1,
  })
  assert.deepEqual(asked, [[{ text: 'hi' }, laptop, signal]])
})

test('nobody is served before it is said who is', async () => {
  const protocols = new ApplicationProtocols()
  protocols.register(notes)
  const asking = protocols.request(call('notes', 2, { text: 'hi' }), { peerId: asPeer('paired'), signal })
  await assert.rejects(asking, { code: 'not-paired' })
})

test('each kind of refusal has its code', async () => {
  const protocols = served()
  protocols.register(notes)
  protocols.register({
    ...notes,
    name: 'wrong',
    handler: () => ({ length: 'five' }) as unknown as { length: number },
  })
  protocols.register({ ...notes, name: 'throws', handler: () => Promise.reject(new Error('out of paper')) })
  const table: [
    name: string,
    version: number,
    value: unknown,
    peer: string,
    code: string,
    message: RegExp,
  ][] = [
    ['notes', 2, { text: 'hi' }, 'stranger', 'not-paired', /not paired/],
    ['nothing', 1, {}, 'paired', 'unknown-protocol', /nothing\/1/],
    ['notes', 1, {}, 'paired', 'unknown-protocol', /notes\/1/],
    ['notes', 2, { text: 5 }, 'paired', 'invalid-message', /request .*notes\/2 at text/],
    ['notes', 2, 'hi', 'paired', 'invalid-message', /request .*notes\/2:/],
    ['notes', 2, { text: '', tags: [{ name: 'a' }, {}] }, 'paired', 'invalid-message', /at tags\.1\.name/],
    ['wrong', 2, { text: 'hi' }, 'paired', 'invalid-message', /response .*wrong\/2 at length/],
    ['throws', 2, { text: 'hi' }, 'paired', 'remote-failure', /^out of paper$/],
  ]
  for (const [name, version, value, peerId, code, message] of table) {
    await assert.rejects(protocols.request(call(name, version, value), { peerId: asPeer(peerId), signal }), {
      code,
      message,
    })
  }
})

test('a name and version is served once, needs a handler, and is free again when it was stopped', async () => {
  const protocols = served()
  const stop = protocols.register(notes)
  assert.throws(() => protocols.register(notes), { code: 'invalid-argument' })
  protocols.register({ ...notes, version: 3 })
  const { handler: _, ...withoutHandler } = notes
  assert.throws(() => protocols.register({ ...withoutHandler, version: 4 }), { code: 'invalid-argument' })
  stop()
  await assert.rejects(protocols.request(call('notes', 2, {}), { peerId: asPeer('paired'), signal }), {
    code: 'unknown-protocol',
  })
  const stopSecond = protocols.register(notes)
  stop()
  assert.deepEqual(
    await protocols.request(call('notes', 2, { text: 'hi' }), { peerId: asPeer('paired'), signal }),
    {
      length: 2,
    },
  )
  stopSecond()
})

test('the asking side checks what it sends and what it gets', async () => {
  const sent: unknown[] = []
  const answer = await callProtocol(notes, { text: 'hi' }, async (call) => {
    sent.push(call)
    return { length: 2, extra: true }
  })
  assert.deepEqual(answer, { length: 2 })
  assert.deepEqual(sent, [{ name: 'notes', version: 2, value: { text: 'hi' } }])
  const wrong = { text: 5 } as unknown as { text: string }
  await assert.rejects(
    callProtocol(notes, wrong, () => assert.fail('it was sent')),
    { code: 'invalid-message', message: /request .* at text/ },
  )
  await assert.rejects(
    callProtocol(notes, { text: 'hi' }, async () => ({ length: 'two' })),
    { code: 'invalid-message', message: /response .* at length/ },
  )
})
