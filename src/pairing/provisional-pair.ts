import type { PeerId } from './peer-id.ts'
/** What a device writes down before it says yes: enough to finish the pairing after a crash, and nothing more. */
export interface ProvisionalPair {
  /** The other device's peer id, base58btc, from the authenticated connection. */
  peer: PeerId
  /** Its name, sanitised. */
  name: string
  /** 32 bytes: proves the pairing at the start of every session. */
  pairKey: Uint8Array
  /** 32 bytes: the joiner's last word, which the initiator expects. */
  acknowledgement: Uint8Array
}
