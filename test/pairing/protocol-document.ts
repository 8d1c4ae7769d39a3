import { readFileSync } from 'node:fs'

/** What the tests take from PROTOCOL.md, so that it cannot say anything else than the code does. */
const text = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')

/** The text of a section, up to the next heading of the same or a higher level. */
export function section(title: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => /^#+ /u.test(line) && line.replace(/^#+ /u, '') === title)
  if (start === -1) throw new Error(`PROTOCOL.md has no section called ${title}`)
  const level = lines[start]?.indexOf(' ') ?? 0
  const length = lines.slice(start + 1).findIndex((line) => {
    const depth = /^#+(?= )/u.exec(line)?.[0].length
    return depth !== undefined && depth <= level
  })
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n')
}

/** The cells of the first table of a section, without its two head lines and without backticks. */
export function tableOf(title: string): string[][] {
  const table = /^(?:\|.*\n)+/mu.exec(`${section(title)}\n`)?.[0] ?? ''
  const rows = table.trim().split('\n')
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.replaceAll('`', '').trim()),
  )
}

export interface Vector {
  name: string
  entropy: string
  words: string
  initiator: VectorParty
  joiner: VectorParty
  codeKeys: Record<'prk' | 'sessionId' | 'rendezvousKey' | 'recordKey' | 'probeKey' | 'authKey', string>
  agreedKeys: Record<
    | 'sharedSecret'
    | 'root'
    | 'joinerProof'
    | 'initiatorProof'
    | 'acknowledgement'
    | 'joinerSeal'
    | 'initiatorSeal',
    string
  >
  transcript: Record<
    'start' | 'request' | 'challenge' | 'opening' | 'response' | 'proved' | 'complete',
    string
  >
  digits: string
  pairKey: string
  messages: Record<
    'PairingRequest' | 'Challenge' | 'Response' | 'Complete' | 'Confirmed',
    Record<string, unknown>
  >
  requestRefusals: Record<string, string>
  responseRefusals: Record<string, string>
  cancels: Record<'initiator' | 'joiner', string>
}

interface VectorParty {
  peerId: string
  name: string
  nonce: string
  secret: string
  share: string
}

export function vectors(): Vector[] {
  const block = /```json\n(?<json>[\s\S]*?)\n```/u.exec(section('Test vectors'))
  return JSON.parse(block?.groups?.['json'] ?? '[]') as Vector[]
}

/** A record under keys that follow from the words (`entropy`) or from a pair key and an epoch. */
export interface RecordVector {
  name: string
  entropy?: string
  pairKey?: string
  epoch?: number
  signingSeed: string
  recordKey: string
  peer: string
  addresses: string[]
  sequence: string
  validUntil: string
  nonce: string
  routingKey: string
  /** base64url */
  record: string
}

export function recordVectors(): RecordVector[] {
  const block = /```json\n(?<json>[\s\S]*?)\n```/u.exec(section('Records'))
  return JSON.parse(block?.groups?.['json'] ?? '[]') as RecordVector[]
}
