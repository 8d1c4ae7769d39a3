import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeJson, encodeJson, maxJsonDepth } from '../../src/network/json-text.ts'

const nested = (depth: number, [open, close]: [string, string]): string =>
  open.repeat(depth) + '1' + close.repeat(depth)
const kinds: [string, string][] = [
  ['[', ']'],
  ['{"a":', '}'],
  ['[{"a":', '}]'],
]

test('values are read as they were written', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      assert.deepEqual(decodeJson(encodeJson(value)), JSON.parse(JSON.stringify(value)))
    }),
  )
})

for (const kind of kinds) {
  const levels = kind[0].startsWith('[{') ? 2 : 1
  test(`${kind.join('')} may be nested ${maxJsonDepth} levels deep, and no deeper`, () => {
    const text = nested(maxJsonDepth / levels, kind)
    assert.deepEqual(Buffer.from(encodeJson(decodeJson(Buffer.from(text)))), Buffer.from(text))
    const deeper = `[${text}]`
    assert.throws(() => decodeJson(Buffer.from(deeper)), { code: 'invalid-message' })
    assert.throws(() => encodeJson(JSON.parse(deeper)), { code: 'invalid-message' })
  })
}

test('brackets beside each other and in strings are no nesting', () => {
  const value = [...Array.from({ length: 500 }, () => ({ list: [1] })), '[{'.repeat(200), '"\\['.repeat(200)]
  assert.deepEqual(decodeJson(encodeJson(value)), value)
})

test('the key __proto__ is refused however it is spelt, and only as a key', () => {
  for (const key of ['__proto__', String.raw`\u005f_proto__`, String.raw`_\u005Fproto__`]) {
    assert.throws(() => decodeJson(Buffer.from(`[{"${key}": {}}]`)), { code: 'invalid-message' })
  }
  assert.deepEqual(decodeJson(Buffer.from('["__proto__", "\\u005f", "\\u0055"]')), ['__proto__', '_', 'U'])
})
