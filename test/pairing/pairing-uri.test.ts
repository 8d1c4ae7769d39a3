import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatPairingCode } from '../../src/pairing/pairing-code.ts'
import { formatPairingUri, parseInvitationText } from '../../src/pairing/pairing-uri.ts'

const words = formatPairingCode(new Uint8Array(16).fill(3))
const dashed = words.replaceAll(' ', '-')
const address = '/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa'

test('a URI holds the words and the addresses', () => {
  assert.equal(formatPairingUri(words, []), `spacedock:${dashed}`)
  assert.equal(
    formatPairingUri(words, [address, address]),
    `spacedock:${dashed}?peer=${address}&peer=${address}`,
  )
})

test('any code and any addresses come back', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(
        fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(address, '/ip6zone/e%0/ip6/fe80::1')),
        {
          maxLength: 16,
        },
      ),
      (entropy, addresses) => {
        const parsed = parseInvitationText(formatPairingUri(formatPairingCode(entropy), addresses))
        assert.ok(parsed.code.ok)
        assert.deepEqual(parsed.code.entropy, Uint8Array.from(entropy))
        assert.deepEqual(parsed.addresses, addresses)
      },
    ),
    { numRuns: 100 },
  )
})

const accepted: Record<string, string> = {
  'upper case, as a QR code in alphanumeric mode has it': `SPACEDOCK:${dashed.toUpperCase()}?peer=${address}`,
  'two slashes': `spacedock://${dashed}?peer=${address}`,
  'spaces around it': `  spacedock:${dashed}?peer=${address}\n`,
  'a fragment': `spacedock:${dashed}?peer=${address}#x`,
  'percent-encoded words': `spacedock:${words.replaceAll(' ', '%20')}?peer=${encodeURIComponent(address)}`,
  'percent-encoded letters': `spacedock:${dashed.replaceAll('a', '%61')}?peer=${address}`,
  'parameters of later versions': `spacedock:${dashed}?v=2&peer=${address}&relay=x`,
}

for (const [name, uri] of Object.entries(accepted)) {
  test(`a URI is read with ${name}`, () => {
    const parsed = parseInvitationText(uri)
    assert.equal(parsed.code.ok && parsed.code.words, words)
    assert.deepEqual(parsed.addresses, [address])
  })
}

test('plain words are taken as they are, with no addresses', () => {
  const parsed = parseInvitationText(words)
  assert.equal(parsed.code.ok && parsed.code.words, words)
  assert.deepEqual(parsed.addresses, [])
})

test('at most 16 addresses are taken', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => `/ip4/192.0.2.7/tcp/${index}`)
  assert.deepEqual(parseInvitationText(formatPairingUri(words, many)).addresses, many.slice(0, 16))
})

test('a URI with a wrong code is refused, not thrown', () => {
  for (const text of [
    'spacedock:',
    'spacedock:%zz-%',
    'spacedock:zoo?peer=%',
    `spacedock:?peer=${address}`,
  ]) {
    assert.equal(parseInvitationText(text).code.ok, false)
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseInvitationText(`spacedock:${text}`)
      parseInvitationText(text)
    }),
    { numRuns: 60 },
  )
})
