import { presenceEpoch, presenceEpochMs, presenceEpochsToRead, presenceKeys } from '../../pairing/presence.ts'
import { sameMac } from '../../pairing/proofs.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { LimitedClient } from '../dht/limited-client.ts'
import { randomFraction, type RecordParts } from './record-parts.ts'
import { keepPublished, type Publication } from './record-publication.ts'
import { newerRecords, type FoundRecord } from './record-search.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

export interface PresenceOptions {
  records: RecordParts
  /** Trusted devices. */
  devices: () => readonly PairedDevice[]
  isConnected: (peer: PeerId) => boolean
  /** Called when a device has published new addresses. */
  onFound: (peer: PeerId) => void
  /** Called when a device's record has a version that this program cannot read. */
  onOtherVersion: (peer: PeerId, version: number) => void
  /** Called when the keys have changed: the public network may take a new identity then, so that nobody can link the two. */
  onEpoch?: () => void
}

export interface PairedDevice {
  /** Base58btc. */
  peer: PeerId
  /** 32 bytes. */
  pairKey: Uint8Array
}

interface Followed {
  pairKey: Uint8Array
  stop: AbortController
  sleep: InterruptibleSleep
  /** Whether a lookup failed because no DHT node was known. */
  missedNodes: boolean
  tasks: Promise<unknown>
  /** Newest content of the device's record; the epoch counts before the sequence. */
  newest: { epoch: number; sequence: bigint; addresses: string[] }
}

/**
 * Lets paired devices find each other again after both have moved: each keeps a record in the DHT for each other one, under keys
 * that only the two can compute and that change every six hours. PROTOCOL.md, 'LiveState'.
 */
export class PresenceRecords {
  readonly #options: PresenceOptions
  readonly #records: RecordParts
  readonly #followed = new Map<PeerId, Followed>()
  #isRunning = false
  #epoch = 0
  #cancelEpoch: () => void = () => {}
  #stopNodes: () => void = () => {}

  constructor(options: PresenceOptions) {
    this.#options = options
    const { records } = options
    this.#records = { ...records, client: new LimitedClient(records.client, maxQueries) }
  }

  start(): void {
    this.#isRunning = true
    this.#epoch = presenceEpoch(this.#records.clock.wall())
    this.#watchEpoch()
    this.#stopNodes = this.#records.client.onNode(() => {
      for (const { missedNodes, sleep } of this.#followed.values()) if (missedNodes) sleep.interrupt()
    })
    this.devicesChanged()
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    this.#cancelEpoch()
    this.#stopNodes()
    await Promise.all([...this.#followed.keys()].map((peer) => this.#unfollow(peer)))
  }

  /** Follows a change of the set of trusted devices. */
  devicesChanged(): void {
    if (!this.#isRunning) return
    const wanted = new Map(this.#options.devices().map((device) => [device.peer, device]))
    for (const [peer, { pairKey }] of this.#followed) {
      const device = wanted.get(peer)
      if (device === undefined || !sameMac(device.pairKey, pairKey)) void this.#unfollow(peer)
    }
    for (const device of wanted.values()) if (!this.#followed.has(device.peer)) this.#follow(device)
  }

  /** Looks at once, since this device, or every device, may have changed networks. */
  look(peer?: PeerId): void {
    this.#checkEpoch()
    for (const [followed, { sleep }] of this.#followed)
      if (peer === undefined || followed === peer) sleep.interrupt()
  }

  /** Multiaddrs that the device published last. */
  addressesOf(peer: PeerId): readonly string[] {
    return this.#followed.get(peer)?.newest.addresses ?? []
  }

  #follow({ peer, pairKey }: PairedDevice): void {
    const stop = new AbortController()
    const sleep = new InterruptibleSleep(this.#records.clock)
    const newest = { epoch: Number.NEGATIVE_INFINITY, sequence: -1n, addresses: [] }
    const followed: Followed = { pairKey, stop, sleep, missedNodes: false, newest, tasks: Promise.resolve() }
    this.#followed.set(peer, followed)
    const { signal } = stop
    const tasks = [
      keepPublished(this.#records, this.#publication(pairKey), { signal }),
      this.#keepLooking(peer, followed, signal),
    ]
    followed.tasks = Promise.all(tasks).catch((error: unknown) =>
      this.#records.log('error', 'presence.defect', { error: String(error) }),
    )
  }

  async #unfollow(peer: PeerId): Promise<void> {
    const followed = this.#followed.get(peer)
    this.#followed.delete(peer)
    followed?.stop.abort()
    await followed?.tasks
  }

  #publication(pairKey: Uint8Array): Publication {
    const { suite, clock, peer } = this.#records
    return {
      mayExist: true,
      intervalMs: republishMs,
      onStatus: () => {},
      current: () => {
        this.#checkEpoch()
        const wallMs = clock.wall()
        const epoch = presenceEpoch(wallMs)
        const sinceMs = wallMs - epoch * presenceEpochMs
        return {
          keys: presenceKeys(suite, pairKey, peer, epoch),
          // Sequence that grows over a restart, and tells nobody how far off this clock is.
          sequence: BigInt(Math.floor(sinceMs / sequenceUnitMs)),
          changesInMs: presenceEpochMs - sinceMs,
        }
      },
    }
  }

  async #keepLooking(peer: PeerId, followed: Followed, signal: AbortSignal): Promise<void> {
    let rounds = 0
    while (!signal.aborted) {
      const isConnected = this.#options.isConnected(peer)
      followed.missedNodes = !isConnected && this.#records.client.nodes === 0
      if (isConnected) rounds = 0
      else if (!followed.missedNodes) await this.#lookUp(peer, followed, signal)
      const pauseMs = isConnected ? longestPauseMs : Math.min(longestPauseMs, firstPauseMs * 2 ** rounds++)
      const isRung = await followed.sleep.for(pauseMs * (0.75 + randomFraction(this.#records) / 2), signal)
      if (isRung) rounds = 0
    }
  }

  async #lookUp(peer: PeerId, followed: Followed, signal: AbortSignal): Promise<void> {
    const { suite, clock } = this.#records
    const { newest } = followed
    const epochs = presenceEpochsToRead(clock.wall()).filter((epoch) => epoch >= newest.epoch)
    await Promise.all(
      epochs.map(async (epoch) => {
        const keys = presenceKeys(suite, followed.pairKey, peer, epoch)
        const above = epoch === newest.epoch ? newest.sequence : -1n
        for await (const record of newerRecords(this.#records, keys, {
          above,
          signal,
          onOtherVersion: (version) => this.#options.onOtherVersion(peer, version),
        })) {
          await this.#take(peer, followed, epoch, record)
        }
      }),
    )
  }

  async #take(
    peer: PeerId,
    followed: Followed,
    epoch: number,
    { content, sequence }: FoundRecord,
  ): Promise<void> {
    // Only the device itself can have written the record, and it can only speak for itself.
    if (content.peer !== peer) return
    const addresses = await this.#records.dialable.usable(content.addresses, peer)
    const { newest } = followed
    const isNewer = epoch > newest.epoch || (epoch === newest.epoch && sequence > newest.sequence)
    if (!isNewer) return
    followed.newest = { epoch, sequence, addresses }
    if (addresses.length > 0 && !this.#options.isConnected(peer)) this.#options.onFound(peer)
  }

  #watchEpoch(): void {
    const { clock } = this.#records
    const leftMs = presenceEpochMs - (clock.wall() % presenceEpochMs)
    this.#cancelEpoch = clock.after(leftMs, () => {
      this.#checkEpoch()
      this.#watchEpoch()
    })
  }

  /** Follows a change of epoch that no timer has told: a timer stands still while the machine sleeps, and a clock may be set. */
  #checkEpoch(): void {
    const epoch = presenceEpoch(this.#records.clock.wall())
    if (!this.#isRunning || epoch === this.#epoch) return
    this.#epoch = epoch
    this.#options.onEpoch?.()
  }
}

/** Limit of concurrent queries: devices behind one network ask one DHT, and not all at once. */
const maxQueries = 4
const republishMs = 600_000
/** Pause between two looks for a device that is not connected: doubled each time. */
const firstPauseMs = 2_000
const longestPauseMs = 300_000
const sequenceUnitMs = 10_000
