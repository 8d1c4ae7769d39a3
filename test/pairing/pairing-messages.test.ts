import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64url, base64urlnopad } from '@scure/base'
import fc from 'fast-check'
import {
  decodeMessage,
  encodeMessage,
  maxMessageLength,
  refusalReasons,
  sealedLength,
  type PairingMessage,
} from '../../src/pairing/pairing-messages.ts'
import { meet } from './builders.ts'
import { tableOf } from './protocol-document.ts'

const { messages } = meet()
const suite = messages.request.suite
const samples: Record<PairingMessage['type'], PairingMessage> = {
  PairingRequest: messages.request,
  Challenge: messages.challenge,
  Response: messages.response,
  Waiting: { type: 'Waiting' },
  Complete: messages.complete,
  Refused: { type: 'Refused', reason: 'used', mac: messages.confirmed.acknowledgement },
  Confirmed: messages.confirmed,
  Acknowledged: { type: 'Acknowledged' },
  Cancel: messages.cancelOfJoiner,
}

test('PROTOCOL.md lists every message with exactly its fields and lengths', () => {
  const rows = tableOf('Messages')
  assert.deepEqual(rows.map(([type = '']) => type).sort(), Object.keys(samples).sort())
  for (const [type = '', , , described = ''] of rows) {
    const { type: _, ...fields } = samples[type as PairingMessage['type']]
    const documented = [...described.matchAll(/(?<name>[a-z]+): (?<length>\d+)?/gu)]
    const listed = described.startsWith('none') ? [] : documented
    assert.deepEqual(
      listed.map((match) => match.groups?.['name'] ?? '').sort(),
      Object.keys(fields).sort(),
      type,
    )
    for (const match of listed) {
      const { name = '', length } = match.groups ?? {}
      const value: unknown = Object.entries(fields).find(([key]) => key === name)?.[1]
      if (value instanceof Uint8Array) assert.equal(value.length, Number(length), `${type}.${name}`)
    }
  }
})

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Uint8Array.from(array))

const anyMessage: fc.Arbitrary<PairingMessage> = fc.oneof(
  fc.record({
    type: fc.constant('PairingRequest' as const),
    version: fc.constant(1 as const),
    suite: fc.string({ maxLength: 64 }),
    commitment: bytes(32),
    probe: bytes(16),
  }),
  fc.record({
    type: fc.constant('Challenge' as const),
    nonce: bytes(32),
    share: bytes(32),
    probe: bytes(16),
  }),
  fc.record({
    type: fc.constant('Response' as const),
    nonce: bytes(32),
    share: bytes(32),
    sealed: bytes(sealedLength),
    proof: bytes(32),
  }),
  fc.record({ type: fc.constant('Waiting' as const) }),
  fc.record({ type: fc.constant('Complete' as const), sealed: bytes(sealedLength), proof: bytes(32) }),
  fc.record({
    type: fc.constant('Refused' as const),
    reason: fc.constantFrom(...refusalReasons),
    mac: bytes(32),
  }),
  fc.record({ type: fc.constant('Confirmed' as const), acknowledgement: bytes(32) }),
  fc.record({ type: fc.constant('Acknowledged' as const) }),
  fc.record({ type: fc.constant('Cancel' as const), mac: bytes(32) }),
)

test('any message comes back from its encoding, and fits', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const encoded = encodeMessage(message)
      assert.ok(encoded.length <= maxMessageLength)
      assert.deepEqual(decodeMessage(encoded), { ...message })
    }),
    { numRuns: 500 },
  )
})

for (const [type, sample] of Object.entries(samples)) {
  const json = JSON.parse(new TextDecoder().decode(encodeMessage(sample))) as Record<string, unknown>

  test(`threat 25: ${type} with a field more, less or twice is refused`, () => {
    for (const key of ['extra', 'peerId', 'deviceId', 'publicKey', 'success', 'constructor', 'toString']) {
      assertRefused({ ...json, [key]: 'x' })
    }
    assertRefusedText(JSON.stringify(json).replace('{', '{"__proto__":{},'))
    for (const key of Object.keys(json)) {
      const { [key]: value, ...rest } = json
      assertRefused(rest)
      assertRefusedText(
        JSON.stringify(json).replace('{', `{${JSON.stringify(key)}:${JSON.stringify(value)},`),
      )
      const escaped = `"\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}"`
      assertRefusedText(JSON.stringify(json).replace('{', `{${escaped}:${JSON.stringify(value)},`))
    }
  })

  test(`threat 25: ${type} with a field of another type is refused`, () => {
    for (const key of Object.keys(json)) {
      for (const wrong of [null, 0, 2, true, '', 'x', [], {}, [json[key]], { value: json[key] }]) {
        if (key === 'suite' && typeof wrong === 'string') continue // any text; whether it is ours is the machine's matter
        assertRefused({ ...json, [key]: wrong })
      }
    }
    for (const wrong of [[json], { message: json }, null, type, 1]) assertRefused(wrong)
  })

  test(`threat 25: ${type} with bytes of another length or another encoding is refused`, () => {
    for (const [key, value] of Object.entries(sample)) {
      if (!(value instanceof Uint8Array)) continue
      const text = base64urlnopad.encode(value)
      const wrong = [
        base64urlnopad.encode(value.slice(1)),
        base64urlnopad.encode(Uint8Array.of(...value, 0)),
        base64url.encode(value),
        `${text}=`,
        ` ${text}`,
        `${text}\n`,
        text.slice(0, -1),
        `${text.slice(0, -1)}+`,
        `${text.slice(0, -1)}/`,
        `${text.slice(0, -1)}é`,
        withStrayBit(text),
      ]
      for (const changed of wrong) if (changed !== text) assertRefused({ ...json, [key]: changed })
    }
  })
}

test('threat 28: another version is refused, and so is a suite of more than 64 characters', () => {
  const json = JSON.parse(new TextDecoder().decode(encodeMessage(messages.request))) as Record<
    string,
    unknown
  >
  for (const version of [0, 2, '1', 1.5, -1, null]) assertRefused({ ...json, version })
  assertRefused({ ...json, suite: suite.padEnd(65, 'x') })
})

test('unknown types and unknown reasons are refused', () => {
  for (const type of ['', 'waiting', 'Hello', '__proto__', 'constructor', 'toString']) assertRefused({ type })
  assertRefused({ type: 'Refused', reason: 'constructor', mac: 'A'.repeat(43) })
})

test('threat 23: one byte over 4 KiB is refused, however harmless', () => {
  const text = '{"type":"Waiting"}'
  assert.ok(decodeMessage(utf8(text.padEnd(maxMessageLength))))
  assert.equal(decodeMessage(utf8(text.padEnd(maxMessageLength + 1))), null)
})

test('threat 25: 10,000 damaged messages lead to a message or to nothing, never to an error', () => {
  const encodings = Object.values(samples).map(encodeMessage)
  const damage = fc.record({
    base: fc.constantFrom(...encodings),
    at: fc.nat(),
    take: fc.nat(3),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc
        .constantFrom('{', '}', '[', '"', '\\', ',', ':', '"type":', '"\\u0061"', '1e999', '\ud800')
        .map(utf8),
    ),
  })
  let read = 0
  fc.assert(
    fc.property(damage, ({ base, at, take, put }) => {
      const index = at % base.length
      const damaged = Uint8Array.of(...base.slice(0, index), ...put, ...base.slice(index + take))
      const message = decodeMessage(damaged)
      if (message === null) return
      read++
      // What is read is exactly what we would have written, up to the order of the fields and space between them.
      const [theirs, ours] = [damaged, encodeMessage(message)].map(
        (encoded) => JSON.parse(new TextDecoder().decode(encoded)) as unknown,
      )
      assert.deepEqual(theirs, ours)
    }),
    { numRuns: 10_000 },
  )
  assert.ok(read > 0, 'some of it was still a message')
})

test('threat 25: arbitrary bytes and arbitrary JSON are no messages', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json().map(utf8)), (encoded) => {
      assert.equal(decodeMessage(Uint8Array.from(encoded)), null)
    }),
    { numRuns: 2_000 },
  )
})

test('threat 26: reading hostile keys leaves Object.prototype alone', () => {
  const before = Object.getOwnPropertyNames(Object.prototype).sort()
  for (const key of ['__proto__', 'constructor', 'prototype', 'hasOwnProperty']) {
    decodeMessage(utf8(`{"type":"Waiting","${key}":{"type":"Waiting","polluted":true}}`))
    decodeMessage(utf8(`{"${key}":{"type":"Waiting"}}`))
  }
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before)
})

/** Sets a bit behind the last byte, where there is room for one. */
function withStrayBit(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(text.slice(-1))
  return text.length % 4 === 0 ? text : text.slice(0, -1) + alphabet.charAt(last + 1)
}

function assertRefused(value: unknown): void {
  assertRefusedText(JSON.stringify(value))
}

function assertRefusedText(text: string): void {
  assert.equal(decodeMessage(utf8(text)), null, text.slice(0, 200))
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
