import type { Clock, Log } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { PairKey } from '../network/session/session-hello.ts'
import type { SessionTrust } from '../network/session/session-trust.ts'
import type { PeerTrust } from '../network/supervisor/peer-parts.ts'
import { isRevocationNotice } from '../pairing/revocation-notice.ts'
import type { ProvisionalPair } from '../pairing/provisional-pair.ts'
import { sameMac } from '../pairing/proofs.ts'
import type { WantedPeers } from '../protocols/outreach.ts'
import type { PairingTrust } from '../protocols/pairing-components.ts'
import type { Store } from '../store/store.ts'
import type { TrustRecord } from '../store/trust-record.ts'
import type { PeerId } from '../pairing/peer-id.ts'

const dailyMs = 24 * 3_600_000
const writingMs = 10_000

/** Changes of the stored trust by pairings and sessions. */
export class TrustedPeers implements PairingTrust, SessionTrust, PeerTrust, WantedPeers {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  #cancelTimer: () => void = () => {}
  /** Undefined while everything is written. */
  #cancelWriting: (() => void) | undefined
  #onPaired: (peer: PeerId) => void = () => {}
  #onConfirmed: (peer: PeerId, acknowledgement: Uint8Array) => void = () => {}

  constructor(store: Store, clock: Clock, log: Log) {
    this.#store = store
    this.#clock = clock
    this.#log = log
    this.#expire()
    store.trust.onChange(() => this.#planWriting())
  }

  close(): void {
    this.#cancelTimer()
    this.#cancelWriting?.()
    this.#cancelWriting = () => {}
    this.#write()
  }

  /** Returns the keys by which a peer may prove that it is paired, newest first; none for strangers and revoked devices. */
  keysOf(peer: PeerId): PairKey[] {
    const { provisional, settled } = this.#store.registry.pairKeysOf(peer)
    const keys: PairKey[] = []
    if (provisional !== undefined) keys.push({ key: provisional.key, slot: 'provisional' })
    if (settled !== undefined) keys.push({ key: settled.key, slot: 'settled' })
    return keys
  }

  /**
   * Returns the peers to keep connected: those trusted, and those with which a pairing is still to be finished. The last to be
   * there is likely to be there again: the others come after.
   */
  wanted(): PeerId[] {
    const { trust, contacts } = this.#store
    const active = trust.list().filter(({ state }) => state === 'active')
    const peers = [...new Set([...active, ...trust.provisionals()].map(({ peerId }) => peerId))]
    const lastSeenMs = (peer: PeerId): number => contacts.get(peer)?.lastSeenMs ?? 0
    return peers.sort((one, other) => lastSeenMs(other) - lastSeenMs(one))
  }

  /** Whether the peer is one of `wanted`. */
  isWanted(peer: PeerId): boolean {
    const { trust } = this.#store
    return trust.get(peer)?.state === 'active' || trust.provisional(peer) !== undefined
  }

  /** Returns the peers of `wanted`, each with the key by which it is found again. */
  pairKeys(): { peer: PeerId; pairKey: Uint8Array }[] {
    const { trust } = this.#store
    return this.wanted().flatMap((peer) => {
      const settled = trust.get(peer)
      const record = settled?.state === 'active' ? settled : trust.provisional(peer)
      return record === undefined ? [] : [{ peer, pairKey: record.pairKey }]
    })
  }

  writeProvisional(row: 'pending' | 'confirming', pair: ProvisionalPair): void {
    const { lastingClock } = this.#store
    const { peer: peerId, name, pairKey, acknowledgement } = pair
    this.#store.trust.put({
      peerId,
      name,
      state: row,
      pairKey,
      acknowledgement,
      pairedAtMs: this.#clock.wall(),
      // What is not finished ends after seven days: a wall clock that is set must not end it sooner.
      changedAtMs: lastingClock.now(),
    })
  }

  activate({ peer, acknowledgement }: ProvisionalPair): void {
    const { trust } = this.#store
    // A session's hello may have been faster.
    if (this.#isActive(peer, acknowledgement)) return
    if (!isOf(trust.provisional(peer), acknowledgement)) {
      throw new SpacedockError('not-paired', 'The pairing was ended, or another one took its place.', {
        hint: 'Pair the two devices again.',
      })
    }
    this.#finish(peer)
  }

  activateByLastWord(peer: PeerId, acknowledgement: Uint8Array): boolean {
    const waiting = this.#store.trust.provisional(peer)
    // The process was killed after the row was written and before it was answered: the same word gets the same answer.
    if (waiting === undefined) return this.#isActive(peer, acknowledgement)
    if (waiting.state !== 'pending' || !isOf(waiting, acknowledgement)) return false
    this.#finish(peer)
    return true
  }

  forget({ peer, acknowledgement }: ProvisionalPair): void {
    const { trust } = this.#store
    if (isOf(trust.provisional(peer), acknowledgement)) trust.dropProvisional(peer)
  }

  /** Finishes an unfinished pairing. Throws when the key has been taken away meanwhile. */
  proved(peer: PeerId, { slot }: Pick<PairKey, 'slot'>): void {
    if (slot === 'settled') return this.#trustAgain(peer)
    const acknowledgement = this.#store.trust.provisional(peer)?.acknowledgement ?? null
    this.#finish(peer)
    if (acknowledgement !== null) this.#onConfirmed(peer, acknowledgement)
  }

  /** Calls back when a peer has become a trusted one. There is one listener. */
  whenPaired(listener: (peer: PeerId) => void): void {
    this.#onPaired = listener
  }

  /** Calls back when a session's hello has finished the pairing with this acknowledgement. There is one listener. */
  whenConfirmed(listener: (peer: PeerId, acknowledgement: Uint8Array) => void): void {
    this.#onConfirmed = listener
  }

  #isActive(peer: PeerId, acknowledgement: Uint8Array): boolean {
    const settled = this.#store.trust.get(peer)
    return settled?.state === 'active' && isOf(settled, acknowledgement)
  }

  #finish(peer: PeerId): void {
    const unfinished = this.#store.trust.provisional(peer) !== undefined
    this.#store.trust.activate(peer)
    if (unfinished) this.#onPaired(peer)
  }

  #trustAgain(peer: PeerId): void {
    const record = this.#store.trust.get(peer)
    if (record?.state !== 'needs-pairing') return
    // The other side knows us again: it was the one that had lost its memory, and found it.
    this.#store.trust.put({ ...record, state: 'active', changedAtMs: this.#clock.wall() })
  }

  /** Returns what a device that was revoked is told when it comes back; undefined for all others. */
  noticeTo(peer: PeerId): Uint8Array | undefined {
    const record = this.#store.trust.get(peer)
    return record?.state === 'revoked' ? record.revocationNotice : undefined
  }

  /**
   * Records that the device says that it has revoked this one. Returns whether that is authentic: then it stays so until the two
   * are paired again, and the key, which is good for nothing any more, is deleted. Its waiting messages wait on.
   */
  revokedBy(peer: PeerId, notice: Uint8Array): boolean {
    const { trust, registry, identity } = this.#store
    const isAbout = (record: TrustRecord | undefined): boolean =>
      record !== undefined &&
      record.pairKey.length > 0 &&
      isRevocationNotice(notice, record.pairKey, peer, identity.peerId)
    const settled = isAbout(trust.get(peer))
    const provisional = isAbout(trust.provisional(peer))
    if (!settled && !provisional) return false
    this.#log('warn', 'device.revoked-us', { peer })
    if (provisional) trust.dropProvisional(peer)
    // A peer that ends a pairing that was to replace another one has ended both.
    registry.markRevokedThere(peer, notice)
    return true
  }

  /**
   * Records that the device knows none of these keys: shown to its person, never deleted. A pairing agreed with it since then is
   * not meant.
   */
  disowned(peer: PeerId, offered: readonly PairKey[]): void {
    this.#log('warn', 'device.disowned-us', { peer })
    const { trust, registry } = this.#store
    const isOffered = (record: TrustRecord | undefined): boolean =>
      record !== undefined && offered.some(({ key }) => sameMac(key, record.pairKey))
    try {
      // A joiner whose person still decides knows nothing of us either: a pending row waits for it.
      const provisional = trust.provisional(peer)
      if (provisional?.state === 'confirming' && isOffered(provisional)) trust.dropProvisional(peer)
      if (isOffered(trust.get(peer))) registry.markNeedsPairing(peer)
    } catch (error) {
      this.#log('error', 'device.not-marked', { peer, error: String(error) })
    }
  }

  /** Tries again and again to write down revocations for which there was no space. */
  #planWriting(): void {
    if (this.#cancelWriting !== undefined || this.#store.trust.unwritten().length === 0) return
    this.#cancelWriting = this.#clock.after(writingMs, () => {
      this.#cancelWriting = undefined
      this.#write()
      this.#planWriting()
    })
  }

  #write(): void {
    const { trust } = this.#store
    const devices = trust.unwritten().length
    if (devices === 0) return
    try {
      trust.writeUnwritten()
      this.#log('info', 'revocations.written', { devices })
    } catch (error) {
      this.#log('warn', 'revocations.not-written', { devices, error: String(error) })
    }
  }

  /** Ends unfinished pairings after seven days, also in a process that runs for months. */
  #expire(): void {
    const expired = this.#store.trust.expireProvisional(this.#store.lastingClock.now())
    for (const peer of expired) this.#log('info', 'pairing.given-up', { peer })
    this.#cancelTimer = this.#clock.after(dailyMs, () => this.#expire())
  }
}

function isOf(record: TrustRecord | undefined, acknowledgement: Uint8Array): boolean {
  const own = record?.acknowledgement ?? null
  return own !== null && sameMac(own, acknowledgement)
}

/** Whether there is a key that the peer may prove, also of a pairing that is not finished. */
export function hasPairKey(store: Store, peer: PeerId): boolean {
  const { settled, provisional } = store.registry.pairKeysOf(peer)
  return settled !== undefined || provisional !== undefined
}
