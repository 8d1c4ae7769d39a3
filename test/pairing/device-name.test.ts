import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeDescription, encodeDescription } from '../../src/pairing/device-info.ts'
import { maxNameLength, sanitizeDeviceName } from '../../src/pairing/device-name.ts'

const table: [what: string, given: string, shown: string][] = [
  ['a plain name', 'Kitchen laptop', 'Kitchen laptop'],
  ['letters of other scripts', '東京の机 Zoë Ωμέγα', '東京の机 Zoë Ωμέγα'],
  ['ANSI colours', '\u001b[31mred\u001b[0m', '[31mred[0m'],
  ['an ANSI title and a bell', '\u001b]0;title\u0007x', ']0;titlex'],
  ['an eight-bit control sequence', '\u009b2Jx', '2Jx'],
  ['a right-to-left override', 'photo\u202egnp.exe', 'photognp.exe'],
  ['direction isolates', '\u2066a\u2069\u200f\u200eb', 'ab'],
  ['line breaks of every kind', 'a\r\nb\u2028c\u2029d\u0085e\u000bf\u000cg', 'a b c de f g'],
  ['tabs and wide spaces', '\t a \u3000\u00a0 b\u2003', 'a b'],
  ['zero-width characters', 'a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg', 'abcdefg'],
  ['letters that show nothing', 'a\u115f\u1160\u3164\uffa0\u2800\u034f\u180bb', 'ab'],
  ['nothing but invisible letters', '\u3164\u034f\ufe0f\u{e0100}', 'unnamed device'],
  ['tags', 'a\u{e0041}\u{e0042}', 'a'],
  ['private use and unassigned', 'a\ue000\u{10ffff}\u0378b', 'ab'],
  ['half a surrogate pair', 'a\ud800b', 'ab'],
  ['NUL', 'a\u0000b', 'ab'],
  ['an accent of its own', 'Zoe\u0308', 'Zoë'],
  ['an accent behind something invisible', 'e\u200b\u0301', 'é'],
  ['a tower of accents', `q${'\u0301\u0323'.repeat(50)}`, 'q\u0323\u0323'],
  ['nothing', '', 'unnamed device'],
  ['spaces', ' \n\t ', 'unnamed device'],
  ['nothing but controls', '\u001b\u202e\u200b', 'unnamed device'],
  ['something like markup', '<img onerror=x>', '<img onerror=x>'],
]

for (const [what, given, shown] of table) {
  test(`threat 27: ${what} in a name`, () => {
    assert.equal(sanitizeDeviceName(given), shown)
    assert.equal(decodeDescription(encodeDescription({ name: given }))?.name, shown)
  })
}

test('threat 27: 10 kB of name are cut, between characters', () => {
  assert.equal(sanitizeDeviceName('x'.repeat(10_000)), 'x'.repeat(maxNameLength))
  const faces = sanitizeDeviceName(`x${'😀'.repeat(3_000)}`)
  assert.equal(faces, `x${'😀'.repeat(23)}`)
  assert.equal(sanitizeDeviceName(`${'x'.repeat(47)} y`), 'x'.repeat(47))
})

test('threat 27: whatever the name, it is one short visible line, and cleaning it again changes nothing', () => {
  const strange = fc.constantFrom(
    ...Array.from(
      '\u001b\u009b\u202e\u2066\u200b\u200d\ufeff\n\u2028\u0301\u0323\u1100\u1161\u11a8\u09c7\u09be\u3164\ud83d\ude00 \u00a0é\u212b',
    ),
  )
  const names = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
    fc
      .array(fc.oneof(strange, fc.string({ unit: 'binary-ascii', maxLength: 2 })), { maxLength: 80 })
      .map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(names, (name) => {
      const shown = sanitizeDeviceName(name)
      assert.ok(shown.length > 0 && shown.length <= maxNameLength)
      assert.doesNotMatch(
        shown,
        /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|[^\S ]|^ | $| {2}|\p{M}{3}/u,
      )
      assert.equal(shown, shown.normalize('NFC'))
      assert.equal(sanitizeDeviceName(shown), shown)
      assert.equal(decodeDescription(encodeDescription({ name }))?.name, shown)
    }),
    { numRuns: 800 },
  )
})

test('threat 27: a name is cleaned by its receiver, whatever the sender did', () => {
  for (const [, given, shown] of table) {
    const sent = new TextEncoder().encode(JSON.stringify({ name: given }))
    assert.equal(decodeDescription(sent)?.name, shown)
  }
})

test('threat 6: a description with anything but a name is no description', () => {
  const wrong = [
    '{"name":"x","peerId":"y"}',
    '{"name":"x","name":"y"}',
    '{"name":1}',
    '{}',
    '[]',
    'null',
    '',
    '{"name":"x"} {}',
    '{"name":"x","__proto__":{}}',
  ]
  for (const text of wrong) {
    assert.equal(decodeDescription(new TextEncoder().encode(text)), null, text)
  }
})
