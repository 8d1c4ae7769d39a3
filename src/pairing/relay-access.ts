import { fields } from './fields.ts'
import type { Suite } from './suite.ts'

/**
 * Proof that a device holds the secret of a relay. It is good for this pair of peers alone, whom Noise has authenticated: whoever
 * sees it cannot use it. PROTOCOL.md, 'Places at a relay'.
 *
 * @param secret 16 bytes
 * @param relay peer id, base58btc
 * @param device peer id, base58btc
 */
export function relayAccessProof(
  suite: Pick<Suite, 'mac'>,
  secret: Uint8Array,
  relay: string,
  device: string,
): Uint8Array {
  return suite.mac(secret, fields('spacedock/relay-access/1', relay, device))
}
