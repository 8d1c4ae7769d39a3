import { fields } from './fields.ts'
import type { PeerId } from './peer-id.ts'
import { sameMac } from './proofs.ts'
import type { Suite } from './suite.ts'

/** Pairing that is told apart on the local network, and the side that announces itself. */
export interface MarkedPairing {
  /** Announcement key of the code. */
  readonly key: Uint8Array
  readonly role: 'initiator' | 'joiner'
}

/** What an announcement says, as far as its marks cover it. */
export interface MarkedAnnouncement {
  readonly peer: PeerId
  /** 16 bytes. */
  readonly nonce: Uint8Array
  /** Multiaddrs as they stand in the packet, in its order. */
  readonly addresses: readonly string[]
}

/** Length of a mark in bytes. */
export const markLength = 16

/** Computes the mark by which a holder of the code tells the right device's announcement from others'. PROTOCOL.md, 'Marks'. */
export function announcementMark(
  suite: Suite,
  { key, role }: MarkedPairing,
  { peer, nonce, addresses }: MarkedAnnouncement,
): Uint8Array {
  return suite.mac(key, fields(role, peer, nonce, ...addresses)).slice(0, markLength)
}

/** Whether one of the marks is that of the pairing. */
export function bearsMark(
  suite: Suite,
  pairing: MarkedPairing,
  announcement: MarkedAnnouncement,
  marks: readonly Uint8Array[],
): boolean {
  const expected = announcementMark(suite, pairing, announcement)
  return marks.some((mark) => sameMac(mark, expected))
}
