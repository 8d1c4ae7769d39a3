import type { Clock, Log, Message } from '../api.ts'
import type { Session } from '../network/session/session.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { Inbox } from '../store/inbox.ts'
import type { Outbox } from '../store/outbox.ts'

/** Parts of the node that messages need. */
export interface MessagingComponents {
  inbox: Inbox
  outbox: Outbox
  clock: Clock
  log: Log
  /** Returns bytes that nobody can guess. */
  random: (length: number) => Uint8Array
  sessions: MessageSessions
  devices: MessageDevices
  listener: MessageListener
}

/** Sessions as far as messages need them. */
export interface MessageSessions {
  sessionOf(peer: PeerId): Pick<Session, 'request' | 'forsaken' | 'budget'> | undefined
}

/** Devices as far as messages need them. */
export interface MessageDevices {
  /** Throws `not-paired` for a device that is not trusted. */
  requirePaired(peer: PeerId): void
  nameOf(peer: PeerId): { id: string; name: string }
}

/** Listener to what becomes of messages. */
export interface MessageListener {
  messageReceived(message: Message): void
  messageDelivered(id: string, to: PeerId): void
  messageExpired(id: string, to: PeerId): void
  /** Called when a delivery failed and its messages are to be sent again. */
  messagesRetried(): void
}
