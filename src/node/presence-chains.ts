import type { Clock, Log } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { PresenceKeySource } from '../network/discovery/peer-presence.ts'
import { PresenceEpochs } from '../network/discovery/presence-epochs.ts'
import { isBlindable } from '../pairing/blinded-key.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { presenceEpoch } from '../pairing/presence-keys.ts'
import {
  chainAt,
  presenceReaderKeys,
  presenceWriterKeys,
  toldPresence,
  type OthersPresence,
  type OwnPresence,
} from '../pairing/presence-chain.ts'
import type { RecordKeys } from '../pairing/address-record.ts'
import { suite1 } from '../pairing/suite.ts'
import type { PresenceState, PresenceStates } from '../store/presence-states.ts'
import type { Platform } from './platform.ts'
import { PresencePace } from './presence-pace.ts'

export interface PresenceChainsParts {
  states: PresenceStates
  /** Devices that are paired. */
  trusted: { pairKeys(): readonly { peer: PeerId }[] }
  random: Platform['random']
  clock: Clock
  log: Log
}

/** Chains of presence keys, two for each pair: moved on with the epochs, and what they leave behind is forgotten. */
export class PresenceChains implements PresenceKeySource {
  readonly #parts: PresenceChainsParts
  readonly #epochs: PresenceEpochs
  readonly #pace = new PresencePace()
  #onClockSet: () => void = () => {}

  constructor(parts: PresenceChainsParts) {
    this.#parts = parts
    this.#epochs = new PresenceEpochs(parts.clock, (epochs) => {
      this.#moveOn()
      if (epochs !== 1) this.#onClockSet()
    })
  }

  /** Calls back when the clock has jumped over an epoch, or back: what was told before may be of one that nobody reaches. */
  whenClockSet(listener: () => void): void {
    this.#onClockSet = listener
  }

  start(): void {
    // Paired before there was a way to tell keys, or not connected since: the other device may be one that cannot.
    for (const { peer } of this.#parts.trusted.pairKeys())
      if (this.#parts.states.get(peer) === undefined) this.cannotTell(peer)
    this.#moveOn()
    this.#epochs.start()
  }

  stop(): void {
    this.#epochs.stop()
  }

  originOf(peer: PeerId): 'told' | 'pairing' | 'none' {
    const state = this.#parts.states.get(peer)
    if (state === undefined) return 'none'
    if (state.others !== null) return 'told'
    return state.fromPairing ? 'pairing' : 'none'
  }

  writerKeys(peer: PeerId, epoch: number): RecordKeys | null {
    const own = this.#agreed(peer)?.own
    const chain = own === undefined ? null : chainAt(suite1, own, epoch)
    return chain === null ? null : presenceWriterKeys(suite1, chain)
  }

  readerKeys(peer: PeerId, epoch: number): RecordKeys | null {
    const others = this.#agreed(peer)?.others
    const chain = others === undefined ? null : chainAt(suite1, others, epoch)
    return chain === null ? null : presenceReaderKeys(suite1, chain)
  }

  /** Moves all chains to the epoch before this one, which the other clock may still be in, and forgets the earlier keys. */
  #moveOn(): void {
    const { states } = this.#parts
    const oldest = this.#oldestEpoch()
    let hasMoved = false
    for (const peer of states.peers()) {
      const state = states.get(peer)
      if (state === undefined) continue
      const moved = {
        ...state,
        own: this.#moved(state.own, oldest),
        others: state.others && this.#moved(state.others, oldest),
      }
      if (moved.own === state.own && moved.others === state.others) continue
      // When the disk is full the next epoch is another chance.
      if (this.#tried('presence.not-moved-on', peer, () => states.set(peer, moved))) hasMoved = true
    }
    if (hasMoved) this.#tried('presence.not-overwritten', undefined, () => states.forgetReplaced())
  }

  /** Whether it was written; a full disk stops neither the start nor the watch for epochs. */
  #tried(otherwise: string, peer: PeerId | undefined, write: () => void): boolean {
    try {
      write()
      return true
    } catch (error) {
      this.#parts.log('warn', otherwise, { peer, error: String(error) })
      return false
    }
  }

  /** Returns what the other device is to be told, which is durable before. */
  told(peer: PeerId): OthersPresence {
    // A machine that slept may have missed the end of an epoch.
    this.#epochs.check()
    const state = this.#parts.states.get(peer)
    const oldest = this.#oldestEpoch()
    const kept = state === undefined ? null : chainAt(suite1, state.own, oldest)
    if (kept !== null) return toldPresence(kept)
    // There is none yet, or it was moved on by a clock that was wrong: the other device learns of a new one, so no harm is done.
    const own: OwnPresence = { epoch: oldest, ...this.#fresh() }
    this.#parts.states.set(peer, {
      own,
      others: state?.others ?? null,
      fromPairing: state?.fromPairing ?? false,
    })
    return toldPresence(own)
  }

  /** Takes the news that the other device knows no such keys; whether that changed anything. */
  cannotTell(peer: PeerId): boolean {
    const { states } = this.#parts
    const state = states.get(peer)
    if (state?.fromPairing === true || (state?.others ?? null) !== null) return false
    const own = state?.own ?? { epoch: this.#oldestEpoch(), ...this.#fresh() }
    return this.#tried('presence.not-kept', peer, () =>
      states.set(peer, { own, others: null, fromPairing: true }),
    )
  }

  /** Takes what the other device has told; whether that changed anything. Error: `remote-failure` when it tells new keys too often. */
  take(peer: PeerId, others: OthersPresence): boolean {
    const { states, clock, log } = this.#parts
    const oldest = this.#oldestEpoch()
    const before = states.get(peer)?.others ?? null
    // One that a wrong clock has moved on is of no use, though it is the same.
    const isUsable = before !== null && before.epoch <= Math.max(oldest, others.epoch)
    // Every session tells the same: that costs next to nothing, and is not counted.
    const isNear = isUsable && Math.abs(before.epoch - others.epoch) <= nearEpochs
    if (isNear && isSame(before, others)) return false
    if (!this.#pace.take(peer, clock.monotonic())) throw toldTooOften()
    // One that is kept was checked when it came.
    if (String(before?.publicKey) !== String(others.publicKey) && !isBlindable(others.publicKey)) {
      log('warn', 'presence.no-key', { peer })
      return false
    }
    // Moved on at once: the way from an epoch long ago is long, and the other device names it.
    const moved = this.#moved(others, oldest)
    if (isUsable && isSame(before, moved)) return false
    const own = states.get(peer)?.own ?? { epoch: oldest, ...this.#fresh() }
    states.set(peer, { own, others: moved, fromPairing: false })
    return true
  }

  /** Forgets at which pace a device told keys that is not trusted any more. */
  forget(peer: PeerId): void {
    this.#pace.forget(peer)
  }

  #agreed(peer: PeerId): (PresenceState & { others: OthersPresence }) | null {
    const state = this.#parts.states.get(peer)
    return state === undefined || state.others === null ? null : { ...state, others: state.others }
  }

  #fresh(): { key: Uint8Array; seed: Uint8Array } {
    const { random } = this.#parts
    return { key: random(32), seed: random(32) }
  }

  /** Returns the chain at that epoch; the same when it is there already, or the clock is too far off. */
  #moved<Chain extends OwnPresence | OthersPresence>(chain: Chain, epoch: number): Chain {
    return epoch <= chain.epoch ? chain : (chainAt(suite1, chain, epoch) ?? chain)
  }

  #oldestEpoch(): number {
    return presenceEpoch(this.#parts.clock.wall()) - 1
  }
}

/** Most epochs between two chains that are compared whenever they are told. */
const nearEpochs = 8

function toldTooOften(): SpacedockError {
  return new SpacedockError('remote-failure', 'The other device was told new presence keys too often.')
}

/** Whether one follows from the other: the same chain, which has been moved on since. */
function isSame(before: OthersPresence, told: OthersPresence): boolean {
  if (String(before.publicKey) !== String(told.publicKey)) return false
  const [early, late] = before.epoch <= told.epoch ? [before, told] : [told, before]
  const at = chainAt(suite1, early, late.epoch)
  return at !== null && String(at.key) === String(late.key)
}
