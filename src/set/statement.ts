import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { fields } from '../pairing/fields.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { identityBytes } from './identity.ts'
import { maxNumber, maxPredecessors } from './limits.ts'

/** Id of a statement: the SHA-256 of its bytes, 64 hexadecimal digits. */
export type StatementId = string & { readonly '~kind': 'StatementId' }

/** Identity that signs a statement, and the number that it gives to it: higher than that of any statement it signed before. */
export interface Signer {
  peer: PeerId
  /** 1 to {@link maxNumber}. */
  number: number
}

interface Common {
  /** Statements that this one follows: the heads of what its signers hold, at most {@link maxPredecessors}, ascending. */
  predecessors: readonly StatementId[]
}

/** What a statement says. Decision 48 says why. */
export type StatementContent =
  /** Two devices whose people said yes; the signers stand in the order of their bytes. */
  | (Common & { kind: 'link'; signers: readonly [Signer, Signer] })
  /** `lost` is for people alone. A signer that is the target leaves. */
  | (Common & { kind: 'remove'; signers: readonly [Signer]; target: PeerId; lost: boolean })
  /** A link of a member (the first signer) with a new identity (the second), and the removal of the old one. */
  | (Common & { kind: 'replace'; signers: readonly [Signer, Signer]; target: PeerId })

/** A statement of which everything was checked that can be checked without others, but for its signatures. */
export type Statement = StatementContent & {
  id: StatementId
  /** What is signed and hashed. */
  bytes: Uint8Array
  /** 64 bytes each, in the order of the signers. */
  signatures: readonly Uint8Array[]
  /** Length of the statement with its signatures, encoded. */
  size: number
}

export const statementVersion = 'spacedock/set/1'
export const signatureLength = 64

/** Returns the bytes that are hashed to the id. Throws RangeError for content that no device may say. */
export function statementBytes(content: StatementContent): Uint8Array {
  const fault = faultOf(content)
  if (fault !== null) throw new RangeError(`no statement can have ${fault}`)
  const { kind, signers, predecessors } = content
  return fields(
    statementVersion,
    kind,
    fields(...signers.map(({ peer }) => identityBytes(peer))),
    fields(...signers.map(({ number }) => numberBytes(number))),
    fields(...predecessors.map((id) => hexToBytes(id))),
    bodyOf(content),
  )
}

/** Returns what each signer signs with its identity key. */
export function signedBytes(bytes: Uint8Array): Uint8Array {
  return fields(`${statementVersion} signature`, bytes)
}

/** Puts a statement together. `signatures`: 64 bytes each, in the order of the signers. */
export function assembleStatement(content: StatementContent, signatures: readonly Uint8Array[]): Statement {
  const bytes = statementBytes(content)
  if (
    signatures.length !== content.signers.length ||
    signatures.some(({ length }) => length !== signatureLength)
  ) {
    throw new RangeError('a statement has one signature of 64 bytes from each signer')
  }
  const size = encodeStatement({ bytes, signatures }).length
  return { ...content, id: statementId(bytes), bytes, signatures, size }
}

/** Returns a statement as it is stored and sent. */
export function encodeStatement({ bytes, signatures }: Pick<Statement, 'bytes' | 'signatures'>): Uint8Array {
  return fields(bytes, ...signatures)
}

export function statementId(bytes: Uint8Array): StatementId {
  return bytesToHex(sha256(bytes)) as StatementId
}

/** Whether a statement takes an identity out of the set. */
export function isRemoval<Of extends StatementContent>(
  statement: Of,
): statement is Of & { kind: 'remove' | 'replace' } {
  return statement.kind !== 'link'
}

/** Whether a statement connects its two signers. */
export function isLink<Of extends StatementContent>(
  statement: Of,
): statement is Of & { kind: 'link' | 'replace' } {
  return statement.kind !== 'remove'
}

/** Everybody that a statement names. */
export function identitiesIn(statement: StatementContent): PeerId[] {
  const signers = statement.signers.map(({ peer }) => peer)
  return isRemoval(statement) ? [...signers, statement.target] : signers
}

/** Returns what is wrong with content, or null; that peer ids are some is not looked at. */
export function faultOf(content: StatementContent): string | null {
  const { kind, signers, predecessors } = content
  const [first, second] = signers
  if (signers.some(({ number }) => !Number.isInteger(number) || number < 1 || number > maxNumber)) {
    return `a number that is not between 1 and ${maxNumber}`
  }
  if (predecessors.length > maxPredecessors) return `more than ${maxPredecessors} predecessors`
  if (!isAscending(predecessors)) return 'predecessors that are not ascending'
  if (second !== undefined && first.peer === second.peer) return 'one signer twice'
  if (kind === 'link' && second !== undefined && !isInOrder(first.peer, second.peer)) {
    return 'signers of a link that are not in the order of their bytes'
  }
  if (kind === 'replace' && signers.some(({ peer }) => peer === content.target)) {
    return 'a signer that is itself replaced'
  }
  return null
}

/** Whether one identity comes before another in the order of their bytes, in which the signers of a link stand. */
export function isInOrder(first: PeerId, second: PeerId): boolean {
  return bytesToHex(identityBytes(first)) < bytesToHex(identityBytes(second))
}

function bodyOf(content: StatementContent): Uint8Array {
  switch (content.kind) {
    case 'link':
      return new Uint8Array()
    case 'remove':
      return fields(identityBytes(content.target), Uint8Array.of(content.lost ? 1 : 0))
    case 'replace':
      return fields(identityBytes(content.target))
  }
}

function numberBytes(number: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

function isAscending(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id)
}
