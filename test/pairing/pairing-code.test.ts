import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import fc from 'fast-check'
import { formatPairingCode, parsePairingCode } from '../../src/pairing/pairing-code.ts'

const entropy = Uint8Array.from({ length: 16 }, (_, index) => index)
const words = 'abandon amount liar amount expire adjust cage candy arch gather drum buyer'
const list = words.split(' ')

test('any entropy comes back from its words', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const parsed = parsePairingCode(formatPairingCode(bytes))
      assert.ok(parsed.ok)
      assert.deepEqual(parsed.entropy, Uint8Array.from(bytes))
    }),
    { numRuns: 100 },
  )
})

test('only 16 bytes make a code', () => {
  for (const length of [0, 15, 17, 32]) {
    assert.throws(() => formatPairingCode(new Uint8Array(length)), /16 bytes/u)
  }
})

const spellings: Record<string, string> = {
  'upper case': words.toUpperCase(),
  'capitals as a phone writes them': list.map((word) => word[0]?.toUpperCase() + word.slice(1)).join(' '),
  'four letters each': list.map((word) => word.slice(0, 4)).join(' '),
  'more than four letters, but not all': list.map((word) => word.slice(0, 5)).join(' '),
  'line breaks and tabs': list.join('\r\n\t'),
  'dashes, as in a URI': list.join('-'),
  'long dashes': list.join(' – '),
  commas: `${list.join(', ')}.`,
  'numbers in front': list.map((word, index) => `${index + 1}. ${word}`).join('\n'),
  'numbers without a space': list.map((word, index) => `${index + 1}${word}`).join(' '),
  'full-width letters (NFKD)': words.replaceAll(/./gu, fullWidth),
  'mathematical bold letters (NFKD)': words.replaceAll(/./gu, bold),
  'letters with accents': words.replaceAll('a', 'á').replaceAll('e', 'e\u0308'),
  'zero-width spaces between words': list.join('\u200b'),
  'quotes around it': `"${words}"`,
  'space around it': `  ${words}\n`,
}

for (const [name, text] of Object.entries(spellings)) {
  test(`threat 17: a code is read in ${name}`, () => {
    const parsed = parsePairingCode(text)
    assert.deepEqual(parsed, { ok: true, entropy, words })
  })
}

test('threat 17: every word is known by its first four letters, and by itself', () => {
  assert.equal(wordlist.length, 2048)
  for (const word of wordlist) {
    for (const typed of [word, word.slice(0, 4)]) {
      // What is wrong with eleven more times the same word is the checksum or nothing, never the word.
      const parsed = parsePairingCode([typed, ...list.slice(1)].join(' '))
      assert.ok(parsed.ok || parsed.position === undefined, `${typed}: ${parsed.ok ? '' : parsed.message}`)
      if (parsed.ok) assert.equal(parsed.words.split(' ')[0], word)
    }
  }
})

test('threat 17: a prefix of several words is none of them, unless it is a word itself', () => {
  const ambiguous = parsePairingCode(['ab', ...list.slice(1)].join(' '))
  assert.equal(ambiguous.ok, false)
  assert.equal(!ambiguous.ok && ambiguous.position, 1)
  assert.ok(!ambiguous.ok && ambiguous.nearest?.every((word) => word.startsWith('ab')))
  const exact = parsePairingCode(Array.from({ length: 12 }, () => 'act').join(' '))
  assert.ok(exact.ok || exact.position === undefined, 'act is a word, though actor and others begin with it')
})

const typos: [typed: string, position: number, meant: string][] = [
  ['abandno', 1, 'abandon'],
  ['amuont', 2, 'amount'],
  ['lair', 3, 'liar'],
  ['expyre', 5, 'expire'],
  ['adjusst', 6, 'adjust'],
  ['gathr', 10, 'gather'],
  ['drumm', 11, 'drum'],
  ['buyr', 12, 'buyer'],
]

for (const [typed, position, meant] of typos) {
  test(`threat 17: "${typed}" as word ${position} is refused, and "${meant}" is among the nearest`, () => {
    const parsed = parsePairingCode(list.with(position - 1, typed).join(' '))
    assert.ok(!parsed.ok)
    assert.equal(parsed.position, position)
    assert.equal(parsed.nearest?.length, 3)
    assert.ok(parsed.nearest.includes(meant), parsed.nearest.join())
    assert.match(parsed.message, new RegExp(`^Word ${position}, "${typed}"`, 'u'))
  })
}

test('threat 17: a wrong checksum is refused', () => {
  const swapped = [list[1], list[0], ...list.slice(2)].join(' ')
  const parsed = parsePairingCode(swapped)
  assert.ok(!parsed.ok)
  assert.match(parsed.message, /wrong place/u)
  // The last word holds the checksum: with 2,048 to choose from, 128 fit.
  const fitting = wordlist.filter((word) => parsePairingCode(list.with(11, word).join(' ')).ok)
  assert.equal(fitting.length, 128)
})

test('another number of words than twelve is refused, with the number', () => {
  const cases: [string, RegExp][] = [
    ['', /no words/u],
    ['  \n 1 2 3 !', /no words/u],
    [list.slice(0, 11).join(' '), /only 11/u],
    [`${words} zoo`, /more/u],
    ['abandon', /only 1/u],
  ]
  for (const [text, message] of cases) {
    const parsed = parsePairingCode(text)
    assert.ok(!parsed.ok)
    assert.match(parsed.message, message)
  }
})

test('whatever is longer than 2,000 characters is not looked at', () => {
  assert.ok(parsePairingCode(words.padEnd(2_000)).ok)
  assert.equal(parsePairingCode(words.padEnd(2_001)).ok, false)
})

test('no input makes it throw, or repeat a long text to a person', () => {
  const inputs = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.array(fc.constantFrom(...wordlist), { maxLength: 15 }).map((some) => some.join(' ')),
    fc.constantFrom('a'.repeat(100_000), '\ud800', '\u0000', 'zoo '.repeat(5_000), 'é'.repeat(1_999)),
  )
  fc.assert(
    fc.property(inputs, (text) => {
      const parsed = parsePairingCode(text)
      if (!parsed.ok) assert.ok(parsed.message.length < 200, parsed.message)
    }),
    { numRuns: 60 },
  )
})

function fullWidth(letter: string): string {
  return letter === ' ' ? '\u3000' : String.fromCodePoint((letter.codePointAt(0) ?? 0) - 0x61 + 0xff41)
}

function bold(letter: string): string {
  return letter === ' ' ? ' ' : String.fromCodePoint((letter.codePointAt(0) ?? 0) - 0x61 + 0x1d41a)
}
