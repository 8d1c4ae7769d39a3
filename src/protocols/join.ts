import { SpacedockError } from '../errors.ts'
import { findCandidates } from '../network/discovery/rendezvous.ts'
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
import { CandidateQueue } from './candidate-queue.ts'
import type { JoinRun, PairingComponents, PairingTransport } from './pairing-components.ts'
import { hex, pairingError, storageFailure } from './pairing-errors.ts'

/** Between two repetitions of the same message. */
const repeatMs = 300

/** Runs one joiner machine: finds candidates, asks them, and repeats what must arrive. */
export class JoinRunner {
  readonly #components: PairingComponents
  readonly #keys: CodeKeys
  readonly #options: JoinRun
  readonly #transport: PairingTransport
  readonly #peers: CandidateQueue
  #state: JoinerState
  #outcome = Promise.withResolvers<string>()
  /** Aborted at every change of phase: what was under way for the old one is of no use. */
  #phase = new AbortController()
  readonly #ended = new AbortController()
  #cancelTimer: () => void = () => {}
  #persistError: unknown = null
  #pairingWith: string | null = null
  /** The acknowledgement of the row that was written; before there is one, it fits none. */
  #lastWord: Uint8Array = new Uint8Array()
  #told: Promise<void>[] = []

  constructor(components: PairingComponents, keys: CodeKeys, options: JoinRun, transport: PairingTransport) {
    this.#components = components
    this.#keys = keys
    this.#options = options
    this.#transport = transport
    this.#peers = new CandidateQueue(components.clock, (peer) => this.#askWhether(peer))
    this.#state = startJoiner(components.clock.monotonic() + options.timeoutMs)
  }

  async run(): Promise<string> {
    const { signal, sources, onProgress } = this.#options
    const { host, release } = this.#components
    const onAbort = (): void => void this.#deliver({ type: 'cancelled' })
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      this.#armTimer()
      if (signal?.aborted === true) onAbort()
      findCandidates(sources, {
        signal: this.#ended.signal,
        onCandidate: (found) => {
          if (this.#state.phase === 'searching' && found.peer !== host.peerId) this.#peers.add(found)
        },
        onStatus: (source, status, detail) => onProgress({ kind: 'source', source, status, detail }),
      })
      return await this.#outcome.promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#cancelTimer()
      this.#ended.abort()
      this.#phase.abort()
      this.#peers.close()
      this.#showPairing(null)
      await Promise.allSettled(this.#told)
      for (const peer of this.#peers.all()) release(peer)
    }
  }

  /**
   * Another join responds to this peer, with a newer code. A Response to the older one would burn that, if the peer has
   * been restarted and does not know its own older Challenge any more.
   */
  giveWay(peer: string): void {
    if (this.#state.phase === 'responding' && this.#pairingWith === peer) this.#phase.abort()
  }

  async cancel(): Promise<void> {
    this.#deliver({ type: 'cancelled' })
    await Promise.allSettled(this.#told)
  }

  onCancelReceived(peer: string, message: MessageOf<'Cancel'>): PairingMessage | null {
    const effects = this.#deliver({ type: 'cancel-received', peer, message })
    return effects.find((effect) => effect.type === 'answer')?.message ?? null
  }

  #askWhether(peer: string): void {
    const { random } = this.#components
    this.#deliver({ type: 'candidate', peer, fresh: { nonce: random(32), secret: random(32) } })
  }

  async #askPeer(peer: string, message: PairingMessage): Promise<void> {
    const signal = AbortSignal.any([this.#phase.signal, this.#peers.patienceWith(peer)])
    const answer = await this.#transport.exchange(peer, this.#peers.addressesOf(peer), message, signal)
    if (answer !== null) this.#deliver({ type: 'answered', peer, message: answer })
    this.#peers.asked(peer)
  }

  /** The same bytes again and again, over whatever connection there is, until the machine has moved on. */
  async #repeat(peer: string, message: PairingMessage): Promise<void> {
    const { signal } = this.#phase
    const addresses = this.#peers.addressesOf(peer)
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
      if (effect.row === 'active') trust.activate(effect.peer, this.#lastWord)
      else {
        trust.writeProvisional('confirming', effect.pair)
        this.#lastWord = effect.pair.acknowledgement
      }
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
      this.#components.trust.forget(peer, this.#lastWord)
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
        this.#components.onUnfinished(effect.peer)
        this.#outcome.reject(
          new SpacedockError('interrupted', 'The other device has not confirmed the pairing yet.', {
            hint: 'It finishes by itself as soon as both devices are connected; pairing again helps too.',
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
    if (this.#state.phase === 'responding') {
      const { peer } = this.#state.exchange.candidate
      this.#transport.claim(peer)
      this.#showPairing(peer)
    }
    if (phase === 'searching') this.#showPairing(null)
    if (before === 'searching') this.#peers.pause()
    if (phase === 'searching') this.#peers.resume()
    this.#armTimer()
  }

  #showPairing(peer: string | null): void {
    const { onPairing } = this.#components
    if (this.#pairingWith !== null) onPairing(this.#pairingWith, false)
    if (peer !== null) onPairing(peer, true)
    this.#pairingWith = peer
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
