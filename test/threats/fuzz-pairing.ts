import { decodeDescription, encodeDescription } from '../../src/pairing/device-info.ts'
import { maxNameLength, sanitizeDeviceName } from '../../src/pairing/device-name.ts'
import { decodeMessage, encodeMessage, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { formatPairingCode, parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { parseInvitationText } from '../../src/pairing/pairing-uri.ts'
import type { FuzzInput } from './fuzz-input.ts'
import { check, sameBytes, type FuzzTarget } from './fuzz-checks.ts'

const utf8 = new TextEncoder()
const messages: PairingMessage[] = [
  {
    type: 'PairingRequest',
    version: 1,
    suite: 'x25519-chacha20poly1305-sha256',
    commitment: sameBytes(32),
    probe: sameBytes(16),
  },
  { type: 'Challenge', nonce: sameBytes(32), share: sameBytes(32), probe: sameBytes(16) },
  {
    type: 'Response',
    nonce: sameBytes(32),
    share: sameBytes(32),
    sealed: sameBytes(272),
    proof: sameBytes(32),
  },
  { type: 'Waiting' },
  { type: 'Complete', sealed: sameBytes(272), proof: sameBytes(32) },
  { type: 'Refused', reason: 'used', mac: sameBytes(32) },
  { type: 'Confirmed', acknowledgement: sameBytes(32) },
  { type: 'Acknowledged' },
  { type: 'Cancel', mac: sameBytes(32) },
]
const encodedMessages = messages.map(encodeMessage)
const code = formatPairingCode(sameBytes(16))

/** What strangers say while pairing, and what people type. */
export const pairingTargets: FuzzTarget[] = [
  {
    name: 'pairing messages',
    once(input) {
      const damaged = input.below(10) === 0 ? withFieldTwice(input) : input.damaged(encodedMessages)
      const message = decodeMessage(damaged)
      if (message === null) return
      const text = Buffer.from(damaged).toString()
      check(damaged.length <= 4096, 'a message over the cap is taken')
      for (const key of Object.keys(message))
        check(text.split(`"${key}"`).length === 2, 'a field is there twice')
      // Whoever else reads these bytes must read the same.
      check(
        sortedFields(text) === sortedFields(Buffer.from(encodeMessage(message)).toString()),
        'others read it differently',
      )
    },
  },
  {
    name: 'descriptions',
    once(input) {
      const described = decodeDescription(
        input.damaged([encodeDescription({ name: 'Laptop' }), encodeDescription({ name: '' })]),
      )
      if (described !== null) checkName(described.name)
    },
  },
  {
    name: 'names',
    once: (input) =>
      checkName(
        sanitizeDeviceName(input.text(['Laptop', '\u001b[31mx', 'e\u0301\u0302\u0303', '\u202eabc', '👩‍👩‍👧'])),
      ),
  },
  {
    name: 'codes and URIs',
    once(input) {
      const uri = `spacedock:${code.split(' ').join('-')}?peer=/ip4/1.2.3.4/tcp/1/p2p/x`
      // To look for the nearest words takes milliseconds, so most of them are right words in another spelling.
      const text = input.below(20) === 0 ? input.text([code, uri]) : spelt(input)
      if (input.below(2) === 0)
        return check(parseInvitationText(text).addresses.length <= 16, 'too many addresses')
      const parsed = parsePairingCode(text)
      if (parsed.ok)
        check(
          parsed.entropy.length === 16 && formatPairingCode(parsed.entropy) === parsed.words,
          'another code',
        )
    },
  },
]

function spelt(input: FuzzInput): string {
  const words = code.split(' ').map((word) => {
    const cut = input.below(2) === 0 ? word : word.slice(0, 4)
    return input.below(2) === 0 ? cut : cut.toUpperCase()
  })
  return words.map((word) => word + input.pick([' ', '-', ', ', '\n', '\u3000', ' 7. '])).join('')
}

function withFieldTwice(input: FuzzInput): Uint8Array {
  const text = Buffer.from(input.pick(encodedMessages)).toString()
  const [field = ''] =
    /"\w+":(?:"[^"]*"|\d+)/.exec(text.slice(input.below(2) === 0 ? 1 : text.indexOf(',') + 1)) ?? []
  return utf8.encode(input.below(2) === 0 ? text.replace('{', `{${field},`) : text.replace('}', `,${field}}`))
}

function sortedFields(text: string): string {
  return JSON.stringify(Object.entries(JSON.parse(text) as object).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function checkName(name: string): void {
  check(name.length > 0 && name.length <= maxNameLength, `a name of ${name.length} characters`)
  check(!/[\p{C}\p{Zl}\p{Zp}]/u.test(name), 'a name that acts')
  check(sanitizeDeviceName(name) === name, 'cleaning twice changes something')
}
