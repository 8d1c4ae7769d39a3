import type { Clock, Log } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { CallHandler } from './call.ts'
import type { ChannelNumbers } from './channel-numbers.ts'
import type { OutgoingQueue } from './outgoing-queue.ts'
import type { PathTimes } from './receive-window.ts'

/** Session as its parts see it: what requests, streams and events leave by, who handles them, and who hears that they are over. */
export interface SessionCarrier {
  readonly remotePeer: PeerId
  /** Handler of the other side's calls. */
  readonly calls: CallHandler
  /** Queue of frames to send; `flush` is to be called after each push. */
  readonly outgoing: OutgoingQueue
  readonly channels: ChannelNumbers
  readonly path: PathTimes
  readonly clock: Clock
  readonly log: Log
  flush(): void
  /** Notices that less is under way than before: a session that is leaving may be idle now. */
  noticeIdle(): void
}
