import type { ByteStream } from '../../api.ts'
import type { OpenStreamOptions } from './byte-streams.ts'
import type { Call } from './call.ts'
import type { SessionRequestOptions } from './outbound-requests.ts'
import type { PathBudget } from './path-budget.ts'
import type { PingOptions } from './pings.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'

/** Long-lived framed stream between two paired devices, which carries all their traffic. */
export interface Session {
  readonly remotePeer: PeerId
  /** Connection under the session: its address, whether it is relayed, and what encrypts it. */
  readonly connection: SessionConnection
  /** Limits of a relayed connection; null when there are none. */
  readonly budget: PathBudget | null
  readonly opener: 'local' | 'remote'
  /** Instance of the other device: 32 hex digits, new at every start. */
  readonly remoteInstance: string
  /** Monotonic milliseconds at the start of the hello: the other side's proof was made later, so its process ran after that. */
  readonly greetedAtMs: number
  /** Whether one of the two sides has said goodbye: what is under way ends on this session, and nothing new is begun. */
  readonly isLeaving: boolean
  /** Whether an answer is overdue: the other side may be gone. */
  readonly isDoubtful: boolean
  /**
   * Aborts when the session ends, or is given up for a better one because nothing is heard on it: what may be repeated goes
   * there. Another signal from then on, for what is begun when it has answered again and is back in use.
   */
  readonly forsaken: AbortSignal
  /** Resolves when the session has ended; never rejects. */
  readonly closed: Promise<SessionEnd>
  /** Calls back at once when `isLeaving` or `isDoubtful` has changed. There is one listener. */
  watch(onChange: () => void): void
  /** Asks the other side for a sign of life: it comes, or `isDoubtful` does, and in the end `silent`. */
  check(): void
  /**
   * Sends a request; answers may come in any order. Rejects with the other side's error (`unknown-protocol`, `invalid-message`,
   * `too-large`, `remote-failure`), `timed-out`, `interrupted` when the session ends first, or the signal's reason, which also
   * aborts the handler's signal on the other side.
   */
  request(call: Call, options?: SessionRequestOptions): Promise<unknown>
  /**
   * Opens a byte stream; resolves once the other side has accepted it. Rejects like `request`. When it breaks later, its two ends
   * are errored with the other side's error, `interrupted` when the session ends, or the signal's reason.
   */
  openStream(call: Call, options?: OpenStreamOptions): Promise<ByteStream>
  /**
   * Sends an event. Throws when it was not taken: `too-large`, `interrupted`. Resolves when it has left, in the order of the
   * calls for events of its class, applications' or the system's; rejects with `interrupted` when the session ends first. Nothing
   * says whether it was handled.
   */
  emit(call: Call): Promise<void>
  /** Resolves with the milliseconds of one round trip. Rejects with `timed-out`, `interrupted` or the signal's reason. */
  ping(options?: PingOptions): Promise<number>
  /** Says goodbye, waits for what is under way without a limit, closes. Never rejects. */
  drain(): Promise<void>
  /** Says goodbye, gives what is under way a second, closes. Never rejects. */
  close(): Promise<void>
  forsake(): void
  /** Tells the other side that it was revoked, answers and asks nothing any more, and ends; half a second at most. */
  revoke(notice: Uint8Array): Promise<void>
  /** Ends the session at once. */
  abort(error: Error): void
}

/** Sessions of this device, by the device at the other end. */
export interface Sessions {
  /** Returns the session that new work goes to; undefined while there is none. */
  sessionOf(peer: PeerId): Session | undefined
}

export type SessionEnd =
  /** ended by this side, in order */
  | { reason: 'closed' }
  /** ended by the other side, in order */
  | { reason: 'remote-closed' }
  /** the other side has revoked this device */
  | { reason: 'revoked' }
  /** nothing was heard for nine seconds */
  | { reason: 'silent' }
  /** the other side broke the rules of the protocol */
  | { reason: 'violation'; cause: Error }
  /** the stream or its connection was lost */
  | { reason: 'interrupted'; cause: Error }
  /** ended by this side, at once */
  | { reason: 'aborted'; cause: Error }
