import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printableJson, printableLine, printableText } from '../../src/daemon/printable.ts'

const hostile = [
  { what: 'colours', text: '\u001b[31mphone\u001b[0m', line: 'phone' },
  { what: 'a window title', text: '\u001b]0;owned\u0007phone', line: 'phone' },
  { what: 'an eight-bit control sequence', text: '\u009b2Jphone', line: 'phone' },
  { what: 'a return to the start of the line', text: 'phone\rlaptop', line: 'phone laptop' },
  { what: 'backspaces', text: 'phone\b\b\b\b\blaptop', line: 'phonelaptop' },
  { what: 'line breaks', text: 'phone\nPaired with "laptop".', line: 'phone Paired with "laptop".' },
  { what: 'Unicode line breaks', text: 'a\u2028b\u2029c\u0085d', line: 'a b c d' },
  { what: 'bidirectional overrides', text: '\u202egnp.exe\u202c', line: 'gnp.exe' },
  { what: 'bidirectional isolates', text: '\u2066a\u2069\u200fb', line: 'ab' },
  { what: 'invisible tags', text: 'a\u{e0041}b', line: 'ab' },
  { what: 'half a character', text: 'a\ud800b', line: 'ab' },
  { what: 'a zero byte', text: 'a\0b', line: 'ab' },
]
for (const { what, text, line } of hostile) {
  test(`threat 27: ${what} in a name do nothing to the terminal`, () => {
    assert.equal(printableLine(text), line)
  })
}

test('what people write stays as it is', () => {
  for (const text of ['Zoë’s phone', '手机', '👩‍🚀 tablet', 'नमस्ते', 'a-b_c (2)'])
    assert.equal(printableLine(text), text)
  assert.equal(printableText('one\n\ttwo'), 'one\n\ttwo')
})

test('no string acts on a terminal, and JSON keeps its value', () => {
  const acts = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (key, value) => {
      assert.doesNotMatch(printableLine(value), acts)
      assert.doesNotMatch(printableText(value).replaceAll(/[\n\t]/gu, ''), acts)
      const line = printableJson([key, value])
      assert.doesNotMatch(line, acts)
      assert.deepEqual(JSON.parse(line), [key, value])
    }),
  )
})
