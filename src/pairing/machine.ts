import type { CodeKeys } from './key-schedule.ts'
import type { PairingMessage } from './messages.ts'
import type { ProvisionalPair } from './provisional-pair.ts'
import type { Suite } from './suite.ts'
import type { PeerId } from './peer-id.ts'

/** What the two machines, initiator.ts and joiner.ts, have in common. */

/** What every computation of a pairing needs. */
export interface HandshakeContext {
  suite: Suite
  keys: CodeKeys
  /** This device, base58btc. */
  localPeerId: string
  deviceName: string
}

export interface MachineContext extends HandshakeContext {
  /** Monotonic milliseconds. */
  now: number
}

/** What happens on the device itself. */
export type LocalEvent =
  /** Its person said yes or no. */
  | { type: 'approved' }
  | { type: 'declined' }
  /** What the last `persist` effect asked for is durable, or could not be made so. */
  | { type: 'persisted' }
  | { type: 'persist-failed' }
  /** Its person, or the program, calls the pairing off. */
  | { type: 'cancelled' }
  /** Time has passed. */
  | { type: 'tick' }

/** What either machine may want done; `Row` is the one it writes before it says yes. */
export type CommonEffect<Row extends string> =
  /** The answer to the exchange that the event came from. */
  | { type: 'answer'; message: PairingMessage }
  /** No answer: the exchange is reset, as it is for anybody when there is nothing to answer for. */
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
