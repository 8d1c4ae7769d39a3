import type { Clock, Log, Message } from '../api.ts'
import type { Session } from '../network/session/session.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { Dropped, Inbox } from '../store/inbox.ts'
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
  /** Devices to which nothing is sent: they are there twice. */
  copies: { has(peer: PeerId): boolean }
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
  /** Called when the device's inbox is full, once until a delivery to it is taken again. */
  messagesHeld(to: PeerId): void
  /** Called when a delivery of the device was refused for want of room, once until one is taken again. */
  inboxFull(from: PeerId): void
  /** Called when messages went by a rule that was chosen for the inbox. */
  inboxDropped(dropped: Dropped): void
  /** Called when a delivery failed and its messages are to be sent again. */
  messagesRetried(): void
}
