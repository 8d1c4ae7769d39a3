import type { CodeKeys } from './key-schedule.ts'
import type { PairingMessage } from './pairing-messages.ts'
import type { ProvisionalPair } from './provisional-pair.ts'
import type { Suite } from './suite.ts'
import type { PeerId } from './peer-id.ts'

/** Common parts of the two machines, initiator.ts and joiner.ts. */

/** Inputs that every computation of a pairing needs. */
export interface HandshakeContext {
  suite: Suite
  keys: CodeKeys
  /** Peer id of this device, base58btc. */
  localPeerId: string
  deviceName: string
}

export interface MachineContext extends HandshakeContext {
  /** Monotonic milliseconds. */
  now: number
}

/** Events on the device itself. */
export type LocalEvent =
  /** The person said yes or no. */
  | { type: 'approved' }
  | { type: 'declined' }
  /** The row of the last `persist` effect is durable, or could not be made so. */
  | { type: 'persisted' }
  | { type: 'persist-failed' }
  /** The person, or the program, calls the pairing off. */
  | { type: 'cancelled' }
  /** Time has passed. */
  | { type: 'tick' }

/** Effects that either machine may want; `Row` is the one it writes before it says yes. */
export type CommonEffect<Row extends string> =
  /** Answer the exchange that the event came from. */
  | { type: 'answer'; message: PairingMessage }
  /** Leave it without an answer: the exchange is reset, as it is for anybody when there is nothing to answer for. */
  | { type: 'silence' }
  /** Tell a peer on an exchange of our own; its answer does not matter. */
  | { type: 'send'; peer: PeerId; message: PairingMessage }
  /** Ask the person; the answer comes back as `approved` or `declined`. */
  | { type: 'ask'; peer: PeerId; name: string; digits: string }
  /** Make the row durable; comes back as `persisted` or `persist-failed`. */
  | { type: 'persist'; row: Row | 'active'; pair: ProvisionalPair }
  /** Drop the row, unless it is active. */
  | { type: 'forget'; pair: ProvisionalPair }

export interface Step<State, Effect> {
  state: State
  effects: Effect[]
}
