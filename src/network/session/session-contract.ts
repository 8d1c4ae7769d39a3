import type { Connection } from '@libp2p/interface'
import type { ByteStream } from '../../api.ts'
import type { OpenStreamOptions } from './byte-streams.ts'
import type { Call } from './call.ts'
import type { SessionRequestOptions } from './outbound-requests.ts'
import type { PathBudget } from './path-budget.ts'
import type { PingOptions } from './pings.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** One long-lived framed stream between two paired devices, which carries everything they say to each other. */
export interface Session {
  readonly remotePeer: PeerId
  /** The libp2p connection it runs over: its address, and whether it is relayed. */
  readonly connection: Connection
  /** What a relay lets pass over that connection; null when there is no limit. */
  readonly budget: PathBudget | null
  readonly opener: 'local' | 'remote'
  /** 32 hex digits, new at every start of the other device. */
  readonly remoteInstance: string
  /** One of the two sides has said goodbye: what is under way ends on it, and nothing new is begun. */
  readonly isLeaving: boolean
  /** An answer is overdue: perhaps nobody hears it any more. */
  readonly isDoubtful: boolean
  /**
   * Aborts when it ends, or is given up for a better one because nothing is heard on it: what may be repeated goes there. Another
   * signal from then on, for what is begun when it has answered again and is back in use.
   */
  readonly forsaken: AbortSignal
  /** Never rejects. */
  readonly closed: Promise<SessionEnd>
  /** Calls back at once when `isLeaving` or `isDoubtful` has changed. There is one listener. */
  watch(onChange: () => void): void
  /** Asks the other side for a sign of life: it comes, or `isDoubtful` does, and in the end `silent`. */
  check(): void
  /**
   * One request, one answer; requests may overtake each other. Rejects with what the other side says
   * (`unknown-protocol`, `invalid-message`, `too-large`, `remote-failure`), `timed-out`, `interrupted` when the session
   * ends first, or the signal's reason, which also aborts the handler's signal on the other side.
   */
  request(call: Call, options?: SessionRequestOptions): Promise<unknown>
  /**
   * A byte stream, once the other side has accepted it. Rejects like `request`. When it breaks later, its two ends are
   * errored with what the other side says, `interrupted` when the session ends, or the signal's reason.
   */
  openStream(call: Call, options?: OpenStreamOptions): Promise<ByteStream>
  /**
   * Throws when the event was not taken: `too-large`, `interrupted`. Resolves when it has left, in the order of the calls for
   * events of its class, applications' or the system's;
   * rejects with `interrupted` when the session ends first. Nothing says whether it was handled.
   */
  emit(call: Call): Promise<void>
  /** Milliseconds of one round trip. Rejects with `timed-out`, `interrupted` or the signal's reason. */
  ping(options?: PingOptions): Promise<number>
  /** Says goodbye, lets what is under way have all the time that it takes, closes. Never rejects. */
  drain(): Promise<void>
  /** Says goodbye, gives what is under way a second, closes. Never rejects. */
  close(): Promise<void>
  forsake(): void
  /** Tells the other side that it was revoked, answers and asks nothing any more, and ends; half a second at most. */
  revoke(farewell: Uint8Array): Promise<void>
  /** Ends it at once. */
  abort(error: Error): void
}

export type SessionEnd =
  /** by this side, in order */
  | { reason: 'closed' }
  /** by the other side, in order */
  | { reason: 'remote-closed' }
  /** the other side has revoked this device */
  | { reason: 'revoked' }
  /** nothing was heard for nine seconds */
  | { reason: 'silent' }
  /** the other side broke the rules of the protocol */
  | { reason: 'violation'; cause: Error }
  /** the stream or its connection was lost */
  | { reason: 'interrupted'; cause: Error }
  /** by this side, at once */
  | { reason: 'aborted'; cause: Error }
