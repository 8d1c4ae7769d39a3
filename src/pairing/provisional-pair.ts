import type { PeerId } from './peer-id.ts'
/** Data that a device writes down before it says yes: enough to finish the pairing after a crash, and nothing more. */
export interface ProvisionalPair {
  /** Peer id of the other device, base58btc, from the authenticated connection. */
  peer: PeerId
  /** Name of the other device, sanitised. */
  name: string
  /** Key of 32 bytes: proves the pairing at the start of every session. */
  pairKey: Uint8Array
  /** The joiner's last word of 32 bytes, which the initiator expects. */
  acknowledgement: Uint8Array
}
