import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '../../api.ts'
import type { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { DirectPathHost } from './direct-path.ts'
import type { Session, SessionEnd } from '../session/session.ts'
import type { AttemptSchedule } from './attempt-schedule.ts'
import type { DialingHost, SessionOpener } from './connection-attempt.ts'
import type { Peer } from './peer.ts'

/** Devices that are to be kept connected. */
export interface WantedPeers {
  /** In the order in which they are tried. */
  wanted(): readonly PeerId[]
  isWanted(peer: PeerId): boolean
}

/** Addresses at which a device may be reached. */
export interface AddressBook {
  addressesOf(peer: PeerId): readonly Multiaddr[]
}

/** Listener to what becomes of the devices. */
export interface PeerListener {
  /** Called when a session comes into use: the device's first, or one that replaces another. */
  sessionStarted(peer: Peer, session: Session): void
  /** Called when the device has no session any more. `failure` tells a person why; null when this side ended it, in order. */
  sessionEnded(peer: Peer, end: SessionEnd, failure: SpacedockError | null): void
  /** Called when an attempt has failed; the message tells a person why. */
  attemptFailed(peer: Peer, failure: SpacedockError): void
  /** Called when the device says that it does not know this one, or has revoked it: it is not tried again before it is wanted. */
  unknownDevice(peer: Peer, failure: SpacedockError): void
  /** Called when the relay is about to end the connection, and no other came up. */
  renewalFailed(peer: Peer): void
}

export interface PeerParts {
  host: DialingHost & DirectPathHost
  trusted: WantedPeers
  book: AddressBook
  opener: SessionOpener
  schedule: AttemptSchedule
  /** All devices; one that leaves takes itself out. */
  peers: Map<PeerId, Peer>
  listeners: readonly Partial<PeerListener>[]
  /** Returns a random number in [0, 1). */
  random: () => number
  clock: Clock
  log: Log
}
