import type { SpacedockError } from '../../errors.ts'
import { OtherVersionError } from '../../other-version.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import {
  presenceEpoch,
  presenceEpochMs,
  presenceEpochsToRead,
  presenceKeys,
} from '../../pairing/presence-keys.ts'
import type { RecordKeys } from '../../pairing/address-record.ts'
import { recordVersion } from '../../pairing/record-version.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import type { PresenceEpochs } from './presence-epochs.ts'
import { randomFraction, type RecordParts } from './record-parts.ts'
import { keepPublished, type Publication } from './record-publication.ts'
import { newerRecords, type FoundRecord } from './record-search.ts'

/** Keys of the records of paired devices. */
export interface PresenceKeySource {
  /**
   * `told`: the two devices have told each other theirs. `pairing`: the other one cannot, so they follow from the key of the
   * pairing. `none`: neither is known yet.
   */
  originOf(peer: PeerId): 'told' | 'pairing' | 'none'
  /** Returns the keys of this device's record for the other one; null when the epoch is past. */
  writerKeys(peer: PeerId, epoch: number): RecordKeys | null
  /** Returns the keys of the other device's record; null when the epoch is past. */
  readerKeys(peer: PeerId, epoch: number): RecordKeys | null
}

/** Device as far as its records are concerned. */
export interface FollowedPeer {
  readonly id: PeerId
  /** Key of the pairing, 32 bytes; null while it is not trusted. */
  readonly pairKey: Uint8Array | null
  /** Whether there is a session over a path without limits: over a relay that carries little it has to be found again soon. */
  readonly isWellConnected: boolean
  /** Record that is followed; null while there is none. Set by `PresenceRecords`. */
  presence: PeerPresence | null
  /** Takes the news that it has published new addresses. */
  sighted(): void
  /** Takes the news that it can be reached, and why not from here. */
  refused(failure: SpacedockError): void
}

/** Record of one device, and the one that is kept for it: looked for while it is not connected, and published for as long as it is trusted. */
export class PeerPresence {
  readonly pairKey: Uint8Array
  /** Version of its record that cannot be read here; null when none was found. */
  unreadVersion: number | null = null
  readonly #peer: FollowedPeer
  readonly #records: RecordParts
  readonly #epochs: PresenceEpochs
  readonly #keys: PresenceKeySource
  readonly #stop = new AbortController()
  readonly #sleep: InterruptibleSleep
  readonly #tasks: Promise<unknown>
  /** Whether a lookup failed because no DHT node was known. */
  #missedNodes = false
  /** Newest content of the record; the epoch counts before the sequence. */
  #newest: { epoch: number; sequence: bigint; addresses: string[] } = {
    epoch: Number.NEGATIVE_INFINITY,
    sequence: -1n,
    addresses: [],
  }

  constructor(
    peer: FollowedPeer,
    pairKey: Uint8Array,
    { records, epochs, keys }: { records: RecordParts; epochs: PresenceEpochs; keys: PresenceKeySource },
  ) {
    this.#keys = keys
    this.pairKey = pairKey
    this.#peer = peer
    this.#records = records
    this.#epochs = epochs
    this.#sleep = new InterruptibleSleep(records.clock)
    const { signal } = this.#stop
    const tasks = [keepPublished(records, this.#publication(), { signal }), this.#keepLooking(signal)]
    this.#tasks = Promise.all(tasks).catch((error: unknown) =>
      records.log('error', 'presence.defect', { error: String(error) }),
    )
  }

  /** Multiaddrs that it published last. */
  get addresses(): readonly string[] {
    return this.#newest.addresses
  }

  /** Looks at once, since this device, or the other one, may have changed networks. */
  look(): void {
    this.#epochs.check()
    this.#sleep.interrupt()
  }

  /** Looks at once if there was nobody to ask. */
  nodeCame(): void {
    if (this.#missedNodes) this.#sleep.interrupt()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#tasks
  }

  #publication(): Publication {
    const { clock } = this.#records
    return {
      mayExist: true,
      intervalMs: republishMs,
      onStatus: () => {},
      current: () => {
        this.#epochs.check()
        const wallMs = clock.wall()
        const epoch = presenceEpoch(wallMs)
        const sinceMs = wallMs - epoch * presenceEpochMs
        return {
          keys: this.#writerKeys(epoch),
          // Sequence that grows over a restart, and tells nobody how far off this clock is.
          sequence: BigInt(Math.floor(sinceMs / sequenceUnitMs)),
          changesInMs: presenceEpochMs - sinceMs,
        }
      },
    }
  }

  async #keepLooking(signal: AbortSignal): Promise<void> {
    let rounds = 0
    while (!signal.aborted) {
      const { isWellConnected } = this.#peer
      this.#missedNodes = !isWellConnected && this.#records.client.nodes === 0
      if (isWellConnected) rounds = 0
      else if (!this.#missedNodes) await this.#lookUp(signal)
      const pauseMs = isWellConnected
        ? longestPauseMs
        : Math.min(longestPauseMs, firstPauseMs * 2 ** rounds++)
      const isRung = await this.#sleep.for(pauseMs * (0.75 + randomFraction(this.#records) / 2), signal)
      if (isRung) rounds = 0
    }
  }

  async #lookUp(signal: AbortSignal): Promise<void> {
    const { clock } = this.#records
    const newest = this.#newest
    const epochs = presenceEpochsToRead(clock.wall()).filter((epoch) => epoch >= newest.epoch)
    await Promise.all(
      epochs.map(async (epoch) => {
        const keys = this.#readerKeys(epoch)
        if (keys === null) return
        const above = epoch === newest.epoch ? newest.sequence : -1n
        for await (const record of newerRecords(this.#records, keys, {
          above,
          signal,
          onOtherVersion: (version) => this.#takeUnread(version),
        })) {
          await this.#take(epoch, record)
        }
      }),
    )
  }

  async #take(epoch: number, { content, sequence }: FoundRecord): Promise<void> {
    const { id: peer } = this.#peer
    // Only the device itself can have written the record, and it can only speak for itself.
    if (content.peer !== peer) return
    const addresses = await this.#records.dialable.usable(content.addresses, peer)
    const isNewer =
      epoch > this.#newest.epoch || (epoch === this.#newest.epoch && sequence > this.#newest.sequence)
    if (!isNewer) return
    this.#newest = { epoch, sequence, addresses }
    if (addresses.length === 0 || this.#peer.isWellConnected) return
    this.unreadVersion = null
    this.#records.log('info', 'presence.found', { peer })
    this.#peer.sighted()
  }

  /** Returns null while there are no keys, or when the clock was set back behind what is still known. */
  #writerKeys(epoch: number): RecordKeys | null {
    const { suite, peer } = this.#records
    if (this.#keys.originOf(this.#peer.id) === 'pairing')
      return presenceKeys(suite, this.pairKey, peer, epoch)
    return this.#keys.writerKeys(this.#peer.id, epoch)
  }

  #readerKeys(epoch: number): RecordKeys | null {
    const { id } = this.#peer
    if (this.#keys.originOf(id) === 'pairing')
      return presenceKeys(this.#records.suite, this.pairKey, id, epoch)
    return this.#keys.readerKeys(id, epoch)
  }

  #takeUnread(version: number): void {
    this.unreadVersion = version
    this.#peer.refused(new OtherVersionError('records', [version], [recordVersion]))
  }
}

/** Interval of republication. */
export const republishMs = 600_000
/** Pause between two looks for a device that is not connected: doubled each time. */
const firstPauseMs = 2_000
export const longestPauseMs = 300_000
const sequenceUnitMs = 10_000
