import { ed25519 } from '@noble/curves/ed25519.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { PeerId } from '../pairing/peer-id.ts'
import { sameMac } from '../pairing/proofs.ts'
import { peerIdOf, publicKeyOf } from './identity.ts'
import { maxStatementBytes } from './limits.ts'
import {
  assembleStatement,
  faultOf,
  signatureLength,
  signedBytes,
  statementBytes,
  statementVersion,
  type Signer,
  type Statement,
  type StatementContent,
  type StatementId,
} from './statement.ts'

/** Why bytes are no statement. `other-version`: of a kind or a version that this program does not know. */
export type Unreadable = 'too-long' | 'other-version' | 'malformed'

export type ReadStatement = { statement: Statement } | { refused: Unreadable; why: string }

/**
 * Reads whatever arrives. A statement has one encoding only: what is read is encoded again and compared. Signatures are not looked
 * at, since most statements that arrive are known; {@link isSigned} does.
 */
export function readStatement(encoded: Uint8Array): ReadStatement {
  if (encoded.length > maxStatementBytes) {
    return { refused: 'too-long', why: `a statement has at most ${maxStatementBytes} bytes` }
  }
  const [bytes, ...signatures] = parts(encoded) ?? []
  const told = bytes === undefined ? null : parts(bytes)
  if (bytes === undefined || told === null) return malformed('not a list of fields')
  const [version, kind, ...rest] = told
  if (version === undefined || kind === undefined) return malformed('no version and kind')
  if (text(version) !== statementVersion || !isKnownKind(text(kind))) {
    return {
      refused: 'other-version',
      why: `${printable(version)}, ${printable(kind)}: update Spacedock on this device`,
    }
  }
  const content = contentOf(text(kind), rest)
  if (content === null) return malformed('fields of another shape')
  const fault = faultOf(content)
  if (fault !== null) return malformed(fault)
  if (!sameMac(statementBytes(content), bytes)) return malformed('another encoding')
  if (
    signatures.length !== content.signers.length ||
    signatures.some(({ length }) => length !== signatureLength)
  ) {
    return malformed('other than one signature of 64 bytes from each signer')
  }
  return { statement: assembleStatement(content, signatures) }
}

/**
 * Whether each signer signed, by the rules of ZIP 215 (https://zips.z.cash/zip-0215), which say of every signature and key what they
 * are, where RFC 8032 leaves a choice: programs that chose otherwise would have different sets.
 */
export function isSigned({ bytes, signers, signatures }: Statement): boolean {
  const message = signedBytes(bytes)
  return signers.every(({ peer }, index) =>
    ed25519.verify(signatures[index] ?? new Uint8Array(signatureLength), message, publicKeyOf(peer), {
      zip215: true,
    }),
  )
}

function contentOf(kind: string, rest: Uint8Array[]): StatementContent | null {
  const [signerList, numberList, predecessorList, body] = rest
  if (rest.length !== 4 || !signerList || !numberList || !predecessorList || !body) return null
  const signers = signersOf(signerList, numberList)
  const predecessors = parts(predecessorList)?.map((id) => bytesToHex(id) as StatementId)
  if (signers === null || !predecessors?.every(({ length }) => length === 64)) return null
  const [first, second, ...others] = signers
  if (first === undefined || others.length > 0) return null
  const [target, flag] = targetOf(body)
  if (kind === 'remove') {
    if (second !== undefined || target === null) return null
    return { kind, signers: [first], predecessors, target, lost: flag?.[0] === 1 }
  }
  if (second === undefined) return null
  if (kind === 'link') return { kind, signers: [first, second], predecessors }
  return target === null ? null : { kind: 'replace', signers: [first, second], predecessors, target }
}

function signersOf(list: Uint8Array, numberList: Uint8Array): Signer[] | null {
  const peers = parts(list)?.map(peerIdOf) ?? []
  const numbers = parts(numberList) ?? []
  if (peers.length !== numbers.length) return null
  const signers: Signer[] = []
  for (const [index, peer] of peers.entries()) {
    const number = numbers[index]
    if (peer === null || number?.length !== 4) return null
    signers.push({ peer, number: new DataView(number.buffer, number.byteOffset).getUint32(0) })
  }
  return signers
}

function targetOf(body: Uint8Array): [target: PeerId | null, flag: Uint8Array | undefined] {
  const [target, flag] = parts(body) ?? []
  return [target === undefined ? null : peerIdOf(target), flag]
}

/** Takes apart what `fields` put together; null for anything else. */
function parts(bytes: Uint8Array): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const found: Uint8Array[] = []
  let offset = 0
  while (offset < bytes.length) {
    if (offset + 4 > bytes.length) return null
    const end = offset + 4 + view.getUint32(offset)
    if (end > bytes.length) return null
    found.push(bytes.subarray(offset + 4, end))
    offset = end
  }
  return found
}

function isKnownKind(kind: string): boolean {
  return kind === 'link' || kind === 'remove' || kind === 'replace'
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** What others wrote, short and without anything that a terminal takes for a command. */
function printable(bytes: Uint8Array): string {
  return text(bytes.subarray(0, 32)).replaceAll(/[^\x20-\x7e]/gu, '?')
}

function malformed(why: string): ReadStatement {
  return { refused: 'malformed', why }
}
