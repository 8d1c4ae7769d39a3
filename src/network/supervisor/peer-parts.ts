import type { Clock, Log } from '../../api.ts'
import type { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import type { DirectPathHost } from './direct-path.ts'
import type { Session, SessionEnd } from '../session/session.ts'
import type { AttemptSchedule } from './attempt-schedule.ts'
import type { DialingHost, SessionOpener } from './connection-attempt.ts'
import type { Peer } from './peer.ts'

/** Trust decisions that say which devices are to be kept connected. */
export interface PeerTrust {
  /** In the order in which they are tried. */
  wanted(): readonly PeerId[]
  isWanted(peer: PeerId): boolean
  /** Key of each pairing, 32 bytes, by which the device is found again. */
  pairKeys(): readonly { peer: PeerId; pairKey: Uint8Array }[]
}

/** Addresses at which a device may be reached. */
export interface AddressBook {
  /** Returns multiaddrs, `published` among them: those that the device has published itself. */
  addressesOf(peer: PeerId, published: readonly string[]): readonly string[]
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
}

export interface PeerParts {
  host: DialingHost & DirectPathHost
  trusted: PeerTrust
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
