import type { Clock, Confirm, Log, PairingProgress, ReachabilityFinding } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import type { CandidateSource } from '../network/discovery/candidate-sources.ts'
import type { Host } from '../network/host/host.ts'
import type { PairingMessage } from '../pairing/messages.ts'
import type { ProvisionalPair } from '../pairing/provisional-pair.ts'
import type { Suite } from '../pairing/suite.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Parts of the node that pairings need. */
export interface PairingComponents {
  host: Host
  suite: Suite
  clock: Clock
  random: (length: number) => Uint8Array
  log: Log
  trust: PairingTrust
  deviceName: () => string
  addressesOf: (peer: PeerId) => string[]
  /** Returns the device id that belongs to a peer id. */
  idOf: (peer: PeerId) => string
  /** Called when the connection to this peer is of no more use to a pairing. */
  release: (peer: PeerId) => void
  /** Called when the registry should show, or stop showing, that a pairing with this peer runs. */
  onPairing: (peer: PeerId, running: boolean) => void
  /**
   * Called when both sides may have said yes, and the exchanges are over: the next session with this peer finishes it, or ends
   * it.
   */
  onUnfinished: (peer: PeerId) => void
}

/**
 * Rows that a pairing writes. Each call is durable when it returns, and throws when it could not be made so. A row is known by
 * its acknowledgement, so that a pairing never finishes or ends the row of another one with the same peer.
 */
export interface PairingTrust {
  writeProvisional(row: 'pending' | 'confirming', pair: ProvisionalPair): void
  activate(pair: ProvisionalPair): void
  forget(pair: ProvisionalPair): void
  /** Activates by the joiner's last word, for an initiator that was restarted meanwhile. Returns whether a row waited for it. */
  activateByLastWord(peer: PeerId, acknowledgement: Uint8Array): boolean
}

export interface PairingRun {
  confirm?: Confirm | undefined
  signal?: AbortSignal | undefined
  onProgress: (progress: PairingProgress) => void
  /** Obstacle that keeps the other device away, as far as it is known now. */
  obstacle?: () => ReachabilityFinding | null
  /** Error that says why the pairing could not come to anything, when a device of another version was there. */
  otherVersion?: () => SpacedockError | null
}

/** A join also looks for the other device. */
export interface JoinRun extends PairingRun {
  sources: readonly CandidateSource[]
  timeoutMs: number
}

/** Sends one message on a stream of its own. */
export interface PairingTransport {
  /** Resolves with null when there is no answer worth having. */
  exchange(
    peer: PeerId,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null>
  /** Adds addresses to an exchange that waits for a connection to this peer. */
  reachAlsoAt(peer: PeerId, addresses: readonly string[], signal: AbortSignal): void
  /** Marks the right peer of this join: messages of earlier ones to it belong to a code that is out of date. */
  claim(peer: PeerId): void
  /** Sends a message whose answer does not matter; gives up after three seconds. */
  tell(peer: PeerId, message: PairingMessage): Promise<void>
}
