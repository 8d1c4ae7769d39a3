import { fields } from './fields.ts'
import { sameMac } from './proofs.ts'
import { suite1 } from './suite.ts'

/**
 * Derives the farewell of a device to one that it has revoked. Only a holder of the pair key can make it, it says one thing about
 * this one pair key that stays true for ever, and nothing leads back from it to the key: so a tombstone can hold it while the key
 * is gone, and a thief of it can do no more than tell the truth again. PROTOCOL.md, 'Revocation'.
 *
 * @param pairKey 32 bytes
 * @param from base58btc peer id of the device that revokes
 * @param to base58btc peer id of the device that is revoked
 * @returns 32 bytes
 */
export function deriveFarewell(pairKey: Uint8Array, from: string, to: string): Uint8Array {
  return suite1.mac(
    suite1.expand(pairKey, new TextEncoder().encode('spacedock/session/1 farewell'), 32),
    fields(from, to),
  )
}

export const farewellBytes = 32
/**
 * Number of farewells, one for each of the two keys that devices may have in common: of a pairing again, and of the one before.
 */
export const maxFarewells = 2

/** Whether one of the farewells, one after the other in `said`, is about this key. */
export function isFarewell(said: Uint8Array, pairKey: Uint8Array, from: string, to: string): boolean {
  const expected = deriveFarewell(pairKey, from, to)
  return farewellsIn(said).some((farewell) => sameMac(farewell, expected))
}

export function farewellsIn(joined: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(joined.length / farewellBytes) }, (_, index) =>
    joined.slice(index * farewellBytes, (index + 1) * farewellBytes),
  )
}
