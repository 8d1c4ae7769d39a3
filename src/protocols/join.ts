import { SpacedockError } from '../errors.ts'
import { findCandidates, type CandidateSource, type FoundPeer } from '../network/discovery/rendezvous.ts'
import {
  advance,
  startJoiner,
  type JoinerEffect,
  type JoinerEvent,
  type JoinerState,
} from '../pairing/joiner.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import type { MessageOf, PairingMessage } from '../pairing/messages.ts'
import { pause } from '../clock.ts'
import type { PairingComponents, PairingRun } from './pairing.ts'
import { hex, pairingError, storageFailure } from './pairing-errors.ts'

export interface JoinTransport {
  exchange(
    peer: string,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null>
  tell(peer: string, message: PairingMessage): Promise<void>
}

/** Peers being asked at the same moment; the others wait their turn. */
const maxAsking = 16
/** A peer that gave no answer is asked again after this long, twice as long the next time, and so on. */
const firstRetryMs = 500
const longestRetryMs = 8_000
/** Between two repetitions of the same message. */
const repeatMs = 300

interface Asking {
  found: FoundPeer
  asking: boolean
  nextRetryMs: number
  cancelRetry: () => void
}

/** Runs one joiner machine: finds candidates, asks them, and repeats what must arrive. */
export class JoinRunner {
  readonly #components: PairingComponents
  readonly #keys: CodeKeys
  readonly #options: PairingRun & { sources: readonly CandidateSource[]; timeoutMs: number }
  readonly #transport: JoinTransport
  readonly #peers = new Map<string, Asking>()
  readonly #waiting: string[] = []
  #asked = 0
  #state: JoinerState
  #outcome = Promise.withResolvers<string>()
  /** Aborted at every change of phase: what was under way for the old one is of no use. */
  #phase = new AbortController()
  readonly #ended = new AbortController()
  #cancelTimer: () => void = () => {}
  #persistError: unknown = null
  #told: Promise<void>[] = []

  constructor(
    components: PairingComponents,
    keys: CodeKeys,
    options: PairingRun & { sources: readonly CandidateSource[]; timeoutMs: number },
    transport: JoinTransport,
  ) {
    this.#components = components
    this.#keys = keys
    this.#options = options
    this.#transport = transport
    this.#state = startJoiner(components.clock.monotonic() + options.timeoutMs)
  }

  async run(): Promise<string> {
    const { signal, sources, onProgress } = this.#options
    const onAbort = (): void => void this.#deliver({ type: 'cancelled' })
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      this.#armTimer()
      if (signal?.aborted === true) onAbort()
      findCandidates(sources, {
        signal: this.#ended.signal,
        onCandidate: (found) => this.#onFound(found),
        onStatus: (source, status, detail) => onProgress({ kind: 'source', source, status, detail }),
      })
      return await this.#outcome.promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#cancelTimer()
      this.#ended.abort()
      this.#phase.abort()
      for (const asking of this.#peers.values()) asking.cancelRetry()
      await Promise.allSettled(this.#told)
      for (const peer of this.#peers.keys()) this.#components.release(peer)
    }
  }

  async cancel(): Promise<void> {
    this.#deliver({ type: 'cancelled' })
    await Promise.allSettled(this.#told)
  }

  onCancelReceived(peer: string, message: MessageOf<'Cancel'>): PairingMessage | null {
    const effects = this.#deliver({ type: 'cancel-received', peer, message })
    return effects.find((effect) => effect.type === 'answer')?.message ?? null
  }

  #onFound(found: FoundPeer): void {
    if (this.#state.phase !== 'searching' || found.peer === this.#components.host.peerId) return
    const known = this.#peers.get(found.peer)
    const addresses = [...new Set([...(known?.found.addresses ?? []), ...found.addresses])].slice(-16)
    if (known === undefined) {
      const asking: Asking = {
        found: { ...found, addresses },
        asking: false,
        nextRetryMs: firstRetryMs,
        cancelRetry: () => {},
      }
      this.#peers.set(found.peer, asking)
      this.#dropStalest()
      this.#enqueue(found.peer)
      return
    }
    known.found = { ...found, addresses }
    if (found.urgent) {
      known.cancelRetry()
      known.nextRetryMs = firstRetryMs
      this.#enqueue(found.peer)
    }
  }

  /** Whoever invents peers must not make us remember them all. */
  #dropStalest(): void {
    if (this.#peers.size <= 256) return
    for (const [peer, asking] of this.#peers) {
      if (asking.asking) continue
      asking.cancelRetry()
      this.#peers.delete(peer)
      return
    }
  }

  #enqueue(peer: string): void {
    if (!this.#waiting.includes(peer)) this.#waiting.push(peer)
    this.#askNext()
  }

  #askNext(): void {
    while (this.#asked < maxAsking && this.#state.phase === 'searching') {
      const peer = this.#waiting.shift()
      if (peer === undefined) return
      const asking = this.#peers.get(peer)
      if (asking === undefined || asking.asking) continue
      const { random } = this.#components
      this.#deliver({ type: 'candidate', peer, fresh: { nonce: random(32), secret: random(32) } })
    }
  }

  async #askPeer(peer: string, message: PairingMessage): Promise<void> {
    const asking = this.#peers.get(peer)
    if (asking === undefined) return
    asking.asking = true
    this.#asked++
    const { signal } = this.#phase
    const answer = await this.#transport.exchange(peer, asking.found.addresses, message, signal)
    asking.asking = false
    this.#asked--
    if (answer !== null) this.#deliver({ type: 'answered', peer, message: answer })
    if (this.#state.phase !== 'searching') return
    const delayMs = asking.nextRetryMs
    asking.nextRetryMs = Math.min(longestRetryMs, delayMs * 2)
    asking.cancelRetry()
    asking.cancelRetry = this.#components.clock.after(delayMs, () => this.#enqueue(peer))
    this.#askNext()
  }

  /** The same bytes again and again, over whatever connection there is, until the machine has moved on. */
  async #repeat(peer: string, message: PairingMessage): Promise<void> {
    const { signal } = this.#phase
    const addresses = this.#peers.get(peer)?.found.addresses ?? []
    while (!signal.aborted) {
      const startedAt = this.#components.clock.monotonic()
      const answer = await this.#transport.exchange(peer, addresses, message, signal)
      if (signal.aborted) return
      if (answer !== null) this.#deliver({ type: 'answered', peer, message: answer })
      const tookMs = this.#components.clock.monotonic() - startedAt
      await pause(this.#components.clock, Math.max(0, repeatMs - tookMs), signal)
    }
  }

  #deliver(event: JoinerEvent): JoinerEffect[] {
    const before = this.#state.phase
    const { state, effects } = advance(this.#context(), this.#state, event)
    this.#state = state
    if (state.phase !== before) this.#onPhaseChange(before)
    for (const effect of effects) this.#perform(effect)
    return effects
  }

  #perform(effect: JoinerEffect): void {
    const { onProgress } = this.#options
    switch (effect.type) {
      case 'answer':
      case 'silence':
        return
      case 'ask-peer':
        this.#observe(this.#askPeer(effect.peer, effect.message))
        return
      case 'repeat':
        this.#observe(this.#repeat(effect.peer, effect.message))
        return
      case 'send':
        this.#told.push(this.#transport.tell(effect.peer, effect.message))
        return
      case 'show-digits':
        onProgress({ kind: 'contact' })
        onProgress({ kind: 'digits', digits: effect.digits })
        return
      case 'waiting':
        onProgress({ kind: 'waiting' })
        return
      case 'ask':
        return this.#ask(effect)
      case 'persist':
        return this.#persist(effect)
      case 'forget':
        return this.#forget(effect.peer)
      case 'finished':
        return this.#finish(effect)
    }
  }

  #observe(work: Promise<void>): void {
    work.catch((error: unknown) => this.#components.log('error', 'pairing.defect', { error: String(error) }))
  }

  #ask({ peer, name, digits }: Extract<JoinerEffect, { type: 'ask' }>): void {
    const { confirm } = this.#options
    if (confirm === undefined) {
      this.#deliver({ type: 'approved' })
      return
    }
    const { signal } = this.#phase
    const id = this.#components.idOf(peer)
    Promise.resolve(confirm({ name, digits, id, peerId: peer }, { signal })).then(
      (yes) => this.#deliver({ type: yes ? 'approved' : 'declined' }),
      () => this.#deliver({ type: 'declined' }),
    )
  }

  #persist(effect: Extract<JoinerEffect, { type: 'persist' }>): void {
    const { trust, log } = this.#components
    try {
      if (effect.row === 'active') trust.activate(effect.peer)
      else trust.writeProvisional('confirming', effect.pair)
    } catch (error) {
      this.#persistError = error
      log('error', 'pairing.persist-failed', { sessionId: this.#sessionId, error: String(error) })
      this.#deliver({ type: 'persist-failed' })
      return
    }
    this.#deliver({ type: 'persisted' })
  }

  #forget(peer: string): void {
    try {
      this.#components.trust.forget(peer)
    } catch (error) {
      // The row ends by itself after seven days.
      this.#components.log('error', 'pairing.forget-failed', {
        sessionId: this.#sessionId,
        error: String(error),
      })
    }
  }

  #finish(effect: Extract<JoinerEffect, { type: 'finished' }>): void {
    switch (effect.outcome) {
      case 'paired':
        this.#outcome.resolve(effect.peer)
        return
      case 'unfinished':
        this.#outcome.reject(
          new SpacedockError('interrupted', 'the other device did not confirm that the pairing is complete', {
            hint: 'It finishes by itself when both devices are connected; or pair again.',
            cause: this.#persistError ?? undefined,
          }),
        )
        return
      case 'failed':
        this.#outcome.reject(
          effect.reason === 'persist-failed'
            ? storageFailure(this.#persistError)
            : pairingError(effect.reason, 'joiner'),
        )
    }
  }

  #onPhaseChange(before: JoinerState['phase']): void {
    const { phase } = this.#state
    this.#components.log('info', 'pairing.phase', {
      role: 'joiner',
      sessionId: this.#sessionId,
      from: before,
      to: phase,
    })
    this.#phase.abort()
    this.#phase = new AbortController()
    if ('exchange' in this.#state) this.#components.onPairing(this.#state.exchange.candidate.peer, true)
    if (phase === 'failed') for (const peer of this.#peers.keys()) this.#components.onPairing(peer, false)
    if (phase === 'searching') for (const peer of this.#peers.keys()) this.#enqueue(peer)
    this.#armTimer()
  }

  #armTimer(): void {
    this.#cancelTimer()
    const due = dueAt(this.#state)
    if (due === null) return
    const { clock } = this.#components
    this.#cancelTimer = clock.after(Math.max(0, due - clock.monotonic()), () => {
      this.#deliver({ type: 'tick' })
      this.#armTimer()
    })
  }

  get #sessionId(): string {
    return hex(this.#keys.sessionId)
  }

  #context() {
    const { suite, host, deviceName, clock } = this.#components
    return {
      suite,
      keys: this.#keys,
      localPeerId: host.peerId,
      deviceName: deviceName(),
      now: clock.monotonic(),
    }
  }
}

function dueAt(state: JoinerState): number | null {
  switch (state.phase) {
    case 'searching':
      return state.deadline
    case 'responding':
      return state.respondBy
    case 'deciding':
      return state.decideBy
    case 'confirming':
      return state.confirmBy
    case 'persisting':
    case 'activating':
    case 'paired':
    case 'unfinished':
    case 'failed':
      return null
  }
}
