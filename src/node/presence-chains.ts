import type { Clock, Log } from '../api.ts'
import type { PresenceKeySource } from '../network/discovery/peer-presence.ts'
import { PresenceEpochs } from '../network/discovery/presence-epochs.ts'
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

  constructor(parts: PresenceChainsParts) {
    this.#parts = parts
    this.#epochs = new PresenceEpochs(parts.clock, () => this.#moveOn())
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
    const { states, log } = this.#parts
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
      try {
        states.set(peer, moved)
        hasMoved = true
      } catch (error) {
        // The disk is full: the next epoch is another chance.
        log('warn', 'presence.not-moved-on', { peer, error: String(error) })
      }
    }
    if (hasMoved) states.forgetReplaced()
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
    states.set(peer, { own, others: null, fromPairing: true })
    return true
  }

  /** Takes what the other device has told; whether that changed anything. */
  take(peer: PeerId, others: OthersPresence): boolean {
    const { states } = this.#parts
    const oldest = this.#oldestEpoch()
    const own = states.get(peer)?.own ?? { epoch: oldest, ...this.#fresh() }
    const before = states.get(peer)?.others ?? null
    // Moved on at once: the way from an epoch long ago is long, and the other device names it.
    const moved = this.#moved(others, oldest)
    // One that a wrong clock has moved on is of no use, though it is the same.
    const isUsable = before !== null && before.epoch <= Math.max(oldest, moved.epoch)
    if (isUsable && isSame(before, moved)) return false
    states.set(peer, { own, others: moved, fromPairing: false })
    return true
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

/** Whether one follows from the other: the same chain, which has been moved on since. */
function isSame(before: OthersPresence, told: OthersPresence): boolean {
  const [early, late] = before.epoch <= told.epoch ? [before, told] : [told, before]
  const at = chainAt(suite1, early, late.epoch)
  return at !== null && String(at.key) === String(late.key) && String(at.publicKey) === String(late.publicKey)
}
