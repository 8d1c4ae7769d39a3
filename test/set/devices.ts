import { sha256 } from '@noble/hashes/sha2.js'
import { peerIdOf } from '../../src/set/identity.ts'
import { SetRecord } from '../../src/set/record.ts'
import {
  assembleStatement,
  isInOrder,
  signatureLength,
  type Signer,
  type Statement,
  type StatementContent,
  type StatementId,
} from '../../src/set/statement.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** Statements and records of devices called A, B, ..., without cryptography: every signature counts, and nobody can sign. */

const known = new Map<string, PeerId>()

/** Identity of a device with this name. */
export function identity(name: string): PeerId {
  let peer = known.get(name)
  if (peer === undefined) {
    const multihash = Uint8Array.of(
      0x00,
      0x24,
      0x08,
      0x01,
      0x12,
      0x20,
      ...sha256(new TextEncoder().encode(name)),
    )
    const made = peerIdOf(multihash)
    if (made === null) throw new Error('no identity')
    peer = made
    known.set(name, peer)
  }
  return peer
}

/** Names of identities, in the order of the alphabet, as one text. */
export function names(peers: Iterable<PeerId>): string {
  const all = new Map([...known].map(([name, peer]) => [peer, name]))
  return [...peers]
    .map((peer) => all.get(peer) ?? '?')
    .sort()
    .join('')
}

export function emptyRecord(): SetRecord {
  return SetRecord.empty(() => true)
}

export function unsigned(content: StatementContent): Statement {
  return assembleStatement(
    content,
    content.signers.map(() => new Uint8Array(signatureLength)),
  )
}

/** What is said, by names: `link A B`, `remove A B` (A removes B), `leave A`, `replace A N O` (A takes N in the place of O). */
export type Said =
  | readonly ['link', string, string]
  | readonly ['remove', string, string]
  | readonly ['leave', string]
  | readonly ['replace', string, string, string]

/** Numbers that signers give, where they are not the next ones. */
export type Numbers = Readonly<Record<string, number>>

/** A statement by whom a record is all that they hold. */
export function say(record: SetRecord, said: Said, numbers: Numbers = {}): Statement {
  const signer = (name: string): Signer => ({
    peer: identity(name),
    number: numbers[name] ?? record.nextNumber(identity(name)) ?? 0,
  })
  return unsigned(contentOf(said, signer, (signers) => record.predecessors(signers)))
}

export function contentOf(
  said: Said,
  signer: (name: string) => Signer,
  predecessorsOf: (signers: PeerId[]) => StatementId[],
): StatementContent {
  const [kind, one, other = one, old = one] = said
  const first = signer(one)
  if (kind === 'remove' || kind === 'leave') {
    const predecessors = predecessorsOf([first.peer])
    return { kind: 'remove', signers: [first], predecessors, target: identity(other), lost: false }
  }
  const second = signer(other)
  const predecessors = predecessorsOf([first.peer, second.peer])
  if (kind === 'replace') {
    return { kind, signers: [first, second], predecessors, target: identity(old) }
  }
  return {
    kind,
    signers: isInOrder(first.peer, second.peer) ? [first, second] : [second, first],
    predecessors,
  }
}

/** Admits what is said to each of the records that says it; throws when it is not admitted. */
export function tell(records: readonly SetRecord[], said: Said, numbers: Numbers = {}): Statement {
  const [first] = records
  if (first === undefined) throw new Error('nobody is told')
  const both = union(records)
  const statement = say(both, said, numbers)
  for (const record of records) {
    const refused = record.admitAll([...both.statements(), statement])
    if (refused.size > 0) throw new Error(`${said.join(' ')}: ${[...refused.values()].join()}`)
  }
  return statement
}

export function union(records: readonly SetRecord[]): SetRecord {
  const [first = emptyRecord(), ...others] = records
  const both = first.copy()
  for (const other of others) both.admitAll(other.statements())
  return both
}
