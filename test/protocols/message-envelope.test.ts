import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { deliverySchema, encodeContent, isJson, toEnvelope } from '../../src/protocols/message-envelope.ts'
import { asPeer } from '../peers.ts'

test('a delivery of half a million of nothing is refused for its number alone', () => {
  const messages = Array.from({ length: 500_000 }, () => ({}))
  const { success, issues } = v.safeParse(deliverySchema, { messages })
  assert.equal(success, false)
  assert.ok((issues?.length ?? 0) < 1_000, `${issues?.length} issues`)
})

test('what is read as JSON is not too deep, and names no prototype', () => {
  assert.ok(isJson('{"a":[1,null]}'))
  for (const text of [
    '',
    '{',
    '{"__proto__":{}}',
    '{"\\u005f_proto__":{}}',
    '['.repeat(65) + ']'.repeat(65),
  ]) {
    assert.equal(isJson(text), false, text.slice(0, 20))
  }
  const own = JSON.parse('{"__proto__":{"isAdmin":true}}') as unknown
  assert.throws(() => encodeContent({ json: own }), { code: 'invalid-argument' })
})

test('a clock before 1970 holds up nothing', () => {
  const message = {
    id: 'a'.repeat(16),
    sequence: 1,
    peerId: asPeer('x'),
    kind: 'text',
    body: 'hi',
    atMs: -5,
  } as const
  assert.ok(v.is(deliverySchema, { messages: [toEnvelope(message)] }))
})
