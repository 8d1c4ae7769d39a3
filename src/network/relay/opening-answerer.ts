import type { Connection, PeerId } from '@libp2p/interface'
import * as v from 'valibot'
import type { Clock, Log } from '../../api.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import {
  agree,
  type Answer,
  pairsOf,
  questionSchema,
  type Agreement,
  type End,
  type OwnEnd,
  type PortPair,
} from './opening-agreement.ts'

export interface OpeningAnswererOptions {
  ownEnds: (options: { signal: AbortSignal }) => Promise<OwnEnd[]>
  /** Dials all of these at once, until the signal aborts or a while has passed. */
  connect: (peer: PeerId, pairs: readonly PortPair[], options: { signal: AbortSignal }) => Promise<Connection>
  clock: Clock
  log: Log
}

/** Answering side of a simultaneous open. */
export class OpeningAnswerer {
  readonly #options: OpeningAnswererOptions
  /** Agreements being made, by peer. */
  readonly #agreeing = new Map<string, AbortController>()
  /** Agreements made, by the peer that may now say when. */
  readonly #agreed = new Map<string, Agreement>()
  /** Attempts that other devices asked for, one at a time for each. */
  readonly #running = new Map<string, { stop: AbortController; done: Promise<void> }>()
  readonly #asked = new Map<string, { sinceMs: number; count: number }>()
  readonly #stop = new AbortController()

  constructor(options: OpeningAnswererOptions) {
    this.#options = options
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('this device is shutting down'))
    await Promise.all([...this.#running.values()].map(({ done }) => done))
    this.#agreed.clear()
  }

  /** Answers a question; null is silence. */
  async answer(
    peer: PeerId,
    question: Uint8Array,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array | null> {
    const asked = v.safeParse(questionSchema, decodeJson(question))
    if (!asked.success) return null
    const id = peer.toString()
    if ('go' in asked.output) return this.#go(peer, asked.output.go) ? encodeJson({}) : null
    if ('ready' in asked.output) return this.#agreed.has(id) ? encodeJson({}) : null
    if (!this.#isWithinLimit(id)) return null
    // A newer question of the same peer cancels the one before.
    this.#agreeing.get(id)?.abort(new Error('there is a newer question'))
    const newer = new AbortController()
    this.#agreeing.set(id, newer)
    try {
      return encodeJson(await this.#agree(id, asked.output.ends, AbortSignal.any([signal, newer.signal])))
    } finally {
      if (this.#agreeing.get(id) === newer) this.#agreeing.delete(id)
    }
  }

  /** Picks an end of each side. */
  async #agree(id: string, ends: readonly End[], signal: AbortSignal): Promise<Answer> {
    const agreement = agree(await this.#options.ownEnds({ signal }), ends)
    signal.throwIfAborted()
    if (agreement === null) return { yours: null, mine: null }
    this.#agreed.set(id, agreement)
    return { yours: agreement.yours, mine: agreement.own.end }
  }

  /** Starts the agreed attempt; returns whether it begins. */
  #go(peer: PeerId, most: number): boolean {
    const id = peer.toString()
    const agreement = this.#agreed.get(id)
    // An agreement is good for one attempt.
    this.#agreed.delete(id)
    if (agreement === undefined) return false
    // The attempt before has failed, since the other side asks for the next.
    this.#running.get(id)?.stop.abort(new Error('there is a newer attempt'))
    this.#running.delete(id)
    if (this.#running.size >= maxAtOnce) return false
    const stop = new AbortController()
    const pairs = pairsOf(agreement, most)
    const done = this.#run(peer, pairs, AbortSignal.any([stop.signal, this.#stop.signal]))
    this.#running.set(id, { stop, done })
    void done.finally(() => {
      if (this.#running.get(id)?.stop === stop) this.#running.delete(id)
    })
    return true
  }

  /**
   * Whether the peer may ask again: a paired device can name any address, and must not have many of them dialled, nor many
   * connections made to find ports.
   */
  #isWithinLimit(id: string): boolean {
    const nowMs = this.#options.clock.monotonic()
    const before = this.#asked.get(id)
    if (before === undefined || nowMs - before.sinceMs > limitMs) {
      this.#asked.set(id, { sinceMs: nowMs, count: 1 })
      return true
    }
    return ++before.count <= maxAsked
  }

  /** Dials and never rejects: the asker will see whether it worked. */
  async #run(peer: PeerId, pairs: readonly PortPair[], signal: AbortSignal): Promise<void> {
    const { connect, log } = this.#options
    try {
      const connecting = connect(peer, pairs, { signal })
      const [first] = pairs
      log('debug', 'simultaneous-open.go', { pairs: pairs.length, from: first?.port, to: first?.address })
      await connecting
    } catch (error) {
      log('debug', 'simultaneous-open.failed', { error: String(error) })
    }
  }
}

/** Limit of concurrent attempts. */
const maxAtOnce = 8
/** Limit of questions by one device within `limitMs`. */
const maxAsked = 48
const limitMs = 60_000
