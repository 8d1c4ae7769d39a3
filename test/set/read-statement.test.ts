import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { fields } from '../../src/pairing/fields.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { identityBytes, peerIdOf } from '../../src/set/identity.ts'
import { maxPredecessors, maxStatementBytes } from '../../src/set/limits.ts'
import { isSigned, readStatement } from '../../src/set/read-statement.ts'
import {
  assembleStatement,
  encodeStatement,
  isInOrder,
  signedBytes,
  statementBytes,
  type Statement,
  type StatementContent,
  type StatementId,
} from '../../src/set/statement.ts'
import { identity, unsigned } from './devices.ts'

const [a, b] = ([identity('A'), identity('B')] as [PeerId, PeerId]).toSorted((x, y) =>
  isInOrder(x, y) ? -1 : 1,
)
const [first, second] = [a, b] as [PeerId, PeerId]
const id = (digit: number): StatementId => digit.toString(16).padStart(64, '0') as StatementId
const signers = [
  { peer: first, number: 1 },
  { peer: second, number: 256 },
] as const

const contents: StatementContent[] = [
  { kind: 'link', signers, predecessors: [] },
  { kind: 'link', signers, predecessors: [id(1), id(2)] },
  { kind: 'remove', signers: [signers[0]], predecessors: [id(1)], target: second, lost: true },
  { kind: 'remove', signers: [signers[0]], predecessors: [], target: first, lost: false },
  { kind: 'replace', signers, predecessors: [id(3)], target: identity('C') },
]

test('a statement is read as it was written', () => {
  for (const content of contents) {
    const statement = unsigned(content)
    assert.deepEqual(readStatement(encodeStatement(statement)), { statement })
  }
})

test('the longest statement fits, and one byte more is not looked at', () => {
  const predecessors = Array.from({ length: maxPredecessors }, (_, index) => id(index))
  const longest = unsigned({ kind: 'replace', signers, predecessors, target: identity('C') })
  assert.ok(longest.size <= maxStatementBytes)
  assert.deepEqual(readStatement(encodeStatement(longest)), { statement: longest })
  const read = readStatement(new Uint8Array(maxStatementBytes + 1))
  assert.equal('refused' in read && read.refused, 'too-long')
  assert.throws(
    () => unsigned({ ...longest, predecessors: [...predecessors, id(99)] }),
    /more than 32 predecessors/u,
  )
})

test('whatever arrives is refused, or encodes to what arrived', () => {
  const seeds = contents.map((content) => encodeStatement(unsigned(content)))
  const changed = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), fc.nat())
    .map(([bytes, changes, cut]) => {
      const copy = bytes.slice(0, cut % 4 === 0 ? cut % bytes.length : bytes.length)
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 400 })), (bytes) => {
      const read = readStatement(bytes)
      if ('statement' in read) assert.deepEqual(encodeStatement(read.statement), bytes)
      else assert.ok(read.why.length > 0)
    }),
    { numRuns: 2_000 },
  )
})

test('each fault has its refusal', () => {
  const sound = {
    kind: 'link',
    first,
    second,
    number: 1,
    predecessors: [id(1)],
    body: new Uint8Array() as Uint8Array,
  }
  type Raw = Omit<typeof sound, 'first' | 'second'> & {
    first: Uint8Array
    second: Uint8Array
    version: string
  }
  const raw = (change: Partial<Raw>, signatures = [64, 64]): Uint8Array => {
    const all: Raw = {
      ...sound,
      version: 'spacedock/set/1',
      first: identityBytes(first),
      second: identityBytes(second),
      ...change,
    }
    const number = Uint8Array.of(0, 0, all.number >>> 8, all.number & 255)
    const bytes = fields(
      all.version,
      all.kind,
      fields(all.first, all.second),
      fields(number, number),
      fields(...all.predecessors.map((text) => Uint8Array.from(Buffer.from(text, 'hex')))),
      all.body,
    )
    return fields(bytes, ...signatures.map((length) => new Uint8Array(length)))
  }
  assert.ok('statement' in readStatement(raw({})))
  const faults: [Uint8Array, string][] = [
    [raw({ version: 'spacedock/set/2' }), 'other-version'],
    [raw({ kind: 'rename' }), 'other-version'],
    [raw({ number: 0 }), 'malformed'],
    [raw({ number: 257 }), 'malformed'],
    [raw({ predecessors: [id(2), id(1)] }), 'malformed'],
    [raw({ predecessors: [id(1), id(1)] }), 'malformed'],
    [raw({ predecessors: ['00' as StatementId] }), 'malformed'],
    [raw({ first: identityBytes(second), second: identityBytes(first) }), 'malformed'],
    [raw({ second: identityBytes(first) }), 'malformed'],
    [raw({ first: new Uint8Array(38) }), 'malformed'],
    [raw({ body: Uint8Array.of(0) }), 'malformed'],
    [raw({ kind: 'remove', body: fields(identityBytes(first), Uint8Array.of(0)) }), 'malformed'],
    [raw({ kind: 'replace', body: fields(identityBytes(first)) }), 'malformed'],
    [raw({}, [64]), 'malformed'],
    [raw({}, [64, 63]), 'malformed'],
    [raw({}, [64, 64, 64]), 'malformed'],
    [new Uint8Array(), 'malformed'],
    [Uint8Array.of(255, 255, 255, 255), 'malformed'],
  ]
  for (const [bytes, refused] of faults) {
    const read = readStatement(bytes)
    assert.equal('refused' in read ? read.refused : 'read', refused)
  }
})

test('a statement counts when each signer signed these bytes', () => {
  const seeds = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const
  const peers = seeds.map((seed) =>
    peerIdOf(Uint8Array.of(0, 0x24, 8, 1, 0x12, 0x20, ...ed25519.getPublicKey(seed))),
  ) as [PeerId, PeerId]
  const content: StatementContent = {
    kind: 'replace',
    signers: [
      { peer: peers[0], number: 1 },
      { peer: peers[1], number: 1 },
    ],
    predecessors: [],
    target: identity('C'),
  }
  const sign = (seed: Uint8Array, said = content): Uint8Array =>
    ed25519.sign(signedBytes(statementBytes(said)), seed)
  const signed = (...signatures: Uint8Array[]): Statement => assembleStatement(content, signatures)
  assert.ok(isSigned(signed(sign(seeds[0]), sign(seeds[1]))))
  assert.ok(!isSigned(signed(sign(seeds[1]), sign(seeds[0]))))
  assert.ok(!isSigned(signed(sign(seeds[0]), new Uint8Array(64))))
  const other = { ...content, target: identity('D') }
  assert.ok(!isSigned(signed(sign(seeds[0], other), sign(seeds[1], other))))
})
