import { randomBytes } from 'node:crypto'
import {
  announcementMark,
  bearsMark,
  markLength,
  type MarkedAnnouncement,
  type MarkedPairing,
} from '../../../pairing/announcement-mark.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'
import { suite1 } from '../../../pairing/suite.ts'

/** Marks that a packet bears; nothing is known of them before they are compared with those of a pairing. */
export interface HeardMarks extends MarkedAnnouncement {
  readonly marks: readonly Uint8Array[]
}

const prefix = 'spacedock='
const nonceLength = 16
/** Number of marks in every announcement: a device that has several codes at once marks it for the newest. */
const marksPerAnnouncement = 4
const textLength = prefix.length + Math.ceil(((nonceLength + marksPerAnnouncement * markLength) * 4) / 3)

/** Room that the string of the marks takes in a TXT record, its length byte included. */
export const marksBytes = textLength + 1

/**
 * Marks of this device's announcements. There are always as many, of which only holders of the codes can tell that they mean
 * anything, or how many do: the others are made in the same way under random keys. They change when a pairing begins or ends.
 */
export class OwnMarks {
  readonly #peer: PeerId
  readonly #pairings = new Set<MarkedPairing>()
  #nonce = randomBytes(nonceLength)
  #decoys = decoys()

  constructor(peer: PeerId) {
    this.#peer = peer
  }

  add(pairing: MarkedPairing): void {
    this.#pairings.add(pairing)
    this.#renew()
  }

  delete(pairing: MarkedPairing): void {
    if (this.#pairings.delete(pairing)) this.#renew()
  }

  /** Returns the TXT string for an announcement of these multiaddrs. */
  text(addresses: readonly string[]): string {
    const announcement = { peer: this.#peer, nonce: this.#nonce, addresses }
    const pairings = [...[...this.#pairings].toReversed(), ...this.#decoys].slice(0, marksPerAnnouncement)
    const marks = pairings.map((pairing) => announcementMark(suite1, pairing, announcement))
    return prefix + Buffer.concat([this.#nonce, ...marks]).toString('base64url')
  }

  #renew(): void {
    this.#nonce = randomBytes(nonceLength)
    this.#decoys = decoys()
  }
}

/** Reads the marks in a stranger's TXT strings; null when there are none. */
export function readMarks(
  texts: readonly string[],
  { peer, addresses }: Omit<MarkedAnnouncement, 'nonce'>,
): HeardMarks | null {
  const text = texts.find((each) => each.startsWith(prefix) && each.length === textLength)
  if (text === undefined) return null
  const bytes = Buffer.from(text.slice(prefix.length), 'base64url')
  if (bytes.length !== nonceLength + marksPerAnnouncement * markLength) return null
  const marks = Array.from({ length: marksPerAnnouncement }, (_, index) => {
    const start = nonceLength + index * markLength
    return bytes.subarray(start, start + markLength)
  })
  return { peer, addresses, nonce: bytes.subarray(0, nonceLength), marks }
}

/** Whether the announcement is that of the other device of this pairing. */
export function isMarkedFor(heard: HeardMarks | null, { key, role }: MarkedPairing): boolean {
  if (heard === null) return false
  const other = role === 'initiator' ? 'joiner' : 'initiator'
  return bearsMark(suite1, { key, role: other }, heard, heard.marks)
}

function decoys(): MarkedPairing[] {
  return Array.from({ length: marksPerAnnouncement }, () => ({ key: randomBytes(32), role: 'initiator' }))
}
