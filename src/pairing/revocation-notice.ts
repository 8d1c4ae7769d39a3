import { fields } from './fields.ts'
import { sameMac } from './proofs.ts'
import { suite1 } from './suite.ts'

/**
 * Derives what a device tells one that it has revoked. Only a holder of the pair key can make it, it says one thing about this one
 * pair key that stays true for ever, and nothing leads back from it to the key: so a tombstone can hold it while the key is gone,
 * and a thief of it can do no more than tell the truth again. PROTOCOL.md, 'Revocation'.
 *
 * @param pairKey 32 bytes
 * @param from base58btc peer id of the device that revokes
 * @param to base58btc peer id of the device that is revoked
 * @returns 32 bytes
 */
export function deriveRevocationNotice(pairKey: Uint8Array, from: string, to: string): Uint8Array {
  return suite1.mac(
    suite1.expand(pairKey, new TextEncoder().encode('spacedock/session/1 farewell'), 32),
    fields(from, to),
  )
}

export const revocationNoticeBytes = 32
/**
 * Number of notices, one for each of the two keys that devices may have in common: of a pairing again, and of the one before.
 */
export const maxRevocationNotices = 2

/** Whether one of the revocation notices, one after the other in `said`, is about this key. */
export function isRevocationNotice(said: Uint8Array, pairKey: Uint8Array, from: string, to: string): boolean {
  const expected = deriveRevocationNotice(pairKey, from, to)
  return revocationNoticesIn(said).some((notice) => sameMac(notice, expected))
}

export function revocationNoticesIn(joined: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(joined.length / revocationNoticeBytes) }, (_, index) =>
    joined.slice(index * revocationNoticeBytes, (index + 1) * revocationNoticeBytes),
  )
}
