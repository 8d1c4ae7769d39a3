import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseStrictJson } from '../../src/pairing/strict-json.ts'

const accepted: [string, unknown][] = [
  ['{}', {}],
  ['[]', []],
  ['null', null],
  [' {"a" : 1 , "b":[{"a":2},{"a":3}]} \n', { a: 1, b: [{ a: 2 }, { a: 3 }] }],
  ['{"a":{"a":{"a":1}}}', { a: { a: { a: 1 } } }],
  ['{"a":"\\"b\\":","c":"x\\\\"}', { a: '"b":', c: 'x\\' }],
  ['["a:","b", ":"]', ['a:', 'b', ':']],
  ['{"":1," ":2}', { '': 1, ' ': 2 }],
  ['{"a":1,"A":2}', { a: 1, A: 2 }],
]

for (const [text, value] of accepted) {
  test(`read: ${text.trim()}`, () => {
    assert.deepEqual(parseStrictJson(utf8(text)), { value })
  })
}

const refused: Record<string, string | Uint8Array> = {
  'a key twice': '{"a":1,"a":1}',
  'a key twice, once escaped': String.raw`{"a":1,"\u0061":1}`,
  'a key twice, both escaped': String.raw`{"\u0061":1,"\u0061":1}`,
  'a key twice with escapes of other kinds': String.raw`{"\/":1,"/":2}`,
  'a key twice in an object in an array': '{"a":[1,{"b":1,"c":2,"b":3}]}',
  'a key twice in an object that is itself replaced': '{"x":{"a":1,"a":2},"y":1}',
  'a key twice, with objects below the first': '{"a":{"b":{"c":1}},"a":1}',
  'a key twice with space before the colon': '{"a" :1,"a"\n:2}',
  '__proto__ twice': '{"__proto__":1,"__proto__":2}',
  'an integer key twice': '{"1":1,"1":2}',
  nothing: '',
  'two values': '{} {}',
  'a comma at the end': '{"a":1,}',
  'a comment': '{}//',
  'a byte order mark': Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d),
  'invalid UTF-8': Uint8Array.of(0x22, 0xff, 0x22),
  'an overlong encoding': Uint8Array.of(0x22, 0xc0, 0xaf, 0x22),
  'a surrogate in UTF-8': Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
  'a truncated character': Uint8Array.of(0x22, 0xe2, 0x82, 0x22),
  'UTF-16': Uint8Array.of(0x7b, 0, 0x7d, 0),
  NaN: 'NaN',
}

for (const [what, text] of Object.entries(refused)) {
  test(`threat 25: ${what} is refused`, () => {
    assert.equal(parseStrictJson(typeof text === 'string' ? utf8(text) : text), null)
  })
}

test('threat 25: 100,000 levels of nesting neither crash it nor take long', () => {
  const depth = 100_000
  const texts = [
    '['.repeat(depth) + ']'.repeat(depth),
    `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    '['.repeat(depth),
    '{"a":'.repeat(depth),
    `"${'\\"'.repeat(depth)}"`,
  ]
  const outcomes = texts.map((text) => parseStrictJson(utf8(text)) !== null)
  assert.deepEqual(outcomes.slice(2, 4), [false, false])
})

test('threat 26: __proto__ and constructor are keys like any other and change no prototype', () => {
  const parsed = parseStrictJson(
    utf8('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
  )
  assert.ok(parsed)
  assert.deepEqual(Object.keys(parsed.value as object), ['__proto__', 'constructor'])
  assert.equal(Object.getPrototypeOf(parsed.value), Object.prototype)
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('whatever JSON.stringify writes is read, and is the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = JSON.stringify(value)
      assert.deepEqual(parseStrictJson(utf8(text)), { value: JSON.parse(text) })
    }),
    { numRuns: 500 },
  )
})

test('an object with one key doubled is refused, wherever it is', () => {
  const member = fc.tuple(fc.string(), fc.jsonValue({ maxDepth: 1 }))
  fc.assert(
    fc.property(
      fc.array(member, { minLength: 1, maxLength: 5 }),
      fc.nat(),
      fc.nat(3),
      (members, pick, wraps) => {
        const twice = members[pick % members.length]
        assert.ok(twice)
        const body = [...members, twice].map(
          ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
        )
        const text = `${'{"x":['.repeat(wraps)}{${body.join(',')}}${']}'.repeat(wraps)}`
        assert.equal(parseStrictJson(utf8(text)), null)
      },
    ),
    { numRuns: 500 },
  )
})

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
