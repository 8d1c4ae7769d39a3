import type { Clock, Confirm, Log, PairingProgress, ReachabilityFinding } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import type { CandidateSource } from '../network/discovery/candidate-sources.ts'
import type { Host } from '../network/host/host.ts'
import type { PairingMessage } from '../pairing/pairing-messages.ts'
import type { ProvisionalPair } from '../pairing/provisional-pair.ts'
import type { Suite } from '../pairing/suite.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { DeviceRegistry } from '../store/device-registry.ts'
import type { Settings } from '../store/settings.ts'

/** Parts of the node that pairings need. */
export interface PairingComponents {
  host: Host
  suite: Suite
  clock: Clock
  random: (length: number) => Uint8Array
  log: Log
  trust: PairingTrust
  /** Settings of this device, whose name is told to the other one. */
  settings: Pick<Settings, 'get'>
  /** Registry, which shows that a pairing with a peer runs. */
  registry: Pick<DeviceRegistry, 'pairing'>
  connections: PairingConnections
}

/** Connections as far as pairings need them. */
export interface PairingConnections {
  /** Returns the addresses at which a peer was, or says that it is: to be dialled beside those that a pairing has found. */
  addressesOf(peer: PeerId): string[]
  /** Closes the connections to a peer that are of no more use to a pairing; never those to a paired device. */
  release(peer: PeerId): void
  /**
   * Connects to a peer when both sides may have said yes, and the exchanges are over: the next session finishes the pairing, or
   * ends it.
   */
  connectNow(peer: PeerId): void
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
  observer: PairingObserver
}

/** Follows one pairing, and knows what kept the other device away. */
export interface PairingObserver {
  progress(progress: PairingProgress): void
  /** Returns the obstacle that keeps the other device away, as far as it is known now. */
  obstacle(): ReachabilityFinding | null
  /** Returns the error that says why the pairing could not come to anything, when a device of another version was there. */
  otherVersion(): SpacedockError | null
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
  /** Adds addresses to an exchange that waits for a connection to this peer. Never rejects. */
  reachAlsoAt(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<void>
  /** Sends a message whose answer does not matter; gives up after three seconds. */
  tell(peer: PeerId, message: PairingMessage): Promise<void>
}
