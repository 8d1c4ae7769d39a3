import type { Clock, Confirm, Log, PairingProgress, ReachFinding } from '../api.ts'
import type { SpacedockError } from '../errors.ts'
import type { CandidateSource } from '../network/discovery/rendezvous.ts'
import type { Host } from '../network/host.ts'
import type { PairingMessage } from '../pairing/messages.ts'
import type { ProvisionalPair } from '../pairing/provisional-pair.ts'
import type { Suite } from '../pairing/suite.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** What a pairing needs of the rest of the node. */
export interface PairingComponents {
  host: Host
  suite: Suite
  clock: Clock
  random: (length: number) => Uint8Array
  log: Log
  trust: PairingTrust
  deviceName: () => string
  addressesOf: (peer: PeerId) => string[]
  /** The device id that belongs to a peer id. */
  idOf: (peer: PeerId) => string
  /** The connection to this peer is of no more use to a pairing. */
  release: (peer: PeerId) => void
  /** Called when the registry should show, or stop showing, that a pairing with this peer runs. */
  onPairing: (peer: PeerId, running: boolean) => void
  /** Both sides may have said yes, and the exchanges are over: the next session with this peer finishes it, or ends it. */
  onUnfinished: (peer: PeerId) => void
}

/**
 * The rows a pairing writes. Each call is durable when it returns, and throws when it could not be made so. A row is known
 * by its acknowledgement, so that a pairing never finishes or ends the row of another one with the same peer.
 */
export interface PairingTrust {
  writeProvisional(row: 'pending' | 'confirming', pair: ProvisionalPair): void
  activate(pair: ProvisionalPair): void
  forget(pair: ProvisionalPair): void
  /** The joiner's last word, for an initiator that was restarted meanwhile: whether a row waited for it, which is active now. */
  activateByLastWord(peer: PeerId, acknowledgement: Uint8Array): boolean
}

export interface PairingRun {
  confirm?: Confirm | undefined
  signal?: AbortSignal | undefined
  onProgress: (progress: PairingProgress) => void
  /** What keeps the other device away, as far as that is known now. */
  obstacle?: () => ReachFinding | null
  /** Why it could not come to anything, when a device of another version was there. */
  otherVersion?: () => SpacedockError | null
}

/** A join also looks for the other device. */
export interface JoinRun extends PairingRun {
  sources: readonly CandidateSource[]
  timeoutMs: number
}

/** Sends one message on a stream of its own. */
export interface PairingTransport {
  /** Null when there is no answer worth having. */
  exchange(
    peer: PeerId,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null>
  /** While an exchange waits for a connection to this peer, it may come about at these addresses as well. */
  reachAlsoAt(peer: PeerId, addresses: readonly string[], signal: AbortSignal): void
  /** This join has found the right peer: what earlier ones still say to it belongs to a code that is out of date. */
  claim(peer: PeerId): void
  /** Its answer does not matter; gives up after three seconds. */
  tell(peer: PeerId, message: PairingMessage): Promise<void>
}
