import { SpacedockError } from '../errors.ts'
import {
  advance,
  isForgettable,
  opensAttempt,
  startInitiator,
  type InitiatorEffect,
  type InitiatorEvent,
  type InitiatorState,
} from '../pairing/initiator.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import { invitationLifetimeMs } from '../pairing/limits.ts'
import type { MessageOf, PairingMessage } from '../pairing/messages.ts'
import type { PairingComponents, PairingRun } from './pairing-components.ts'
import { hex, pairingError, storageFailure } from './pairing-errors.ts'

/** Runs one initiator machine: one live code. */
export class InvitationRunner {
  readonly lifetimeMs = invitationLifetimeMs
  /** Resolves with the peer id; rejects with a SpacedockError. */
  readonly paired: Promise<string>
  #state: InitiatorState
  #outcome = Promise.withResolvers<string>()
  /** Aborts the question to the person when the answer is no longer wanted. */
  #question: AbortController | null = null
  #changed = Promise.withResolvers<void>()
  #cancelTimer: () => void = () => {}
  #persistError: unknown = null
  #pairingWith: string | null = null
  /** The acknowledgement of the row that was written; before there is one, it fits none. */
  #lastWord: Uint8Array = new Uint8Array()
  #told: Promise<void>[] = []
  readonly #components: PairingComponents
  readonly #keys: CodeKeys
  readonly #run: PairingRun
  readonly #tell: (peer: string, message: PairingMessage) => Promise<void>

  constructor(
    components: PairingComponents,
    keys: CodeKeys,
    run: PairingRun,
    tell: (peer: string, message: PairingMessage) => Promise<void>,
  ) {
    this.#components = components
    this.#keys = keys
    this.#run = run
    this.#tell = tell
    this.#state = startInitiator(components.clock.monotonic() + invitationLifetimeMs)
    this.paired = this.#outcome.promise
    // Whoever looks at `paired` gets the rejection; when nobody does, it is an event of the node, not a crash.
    this.paired.catch(() => {})
    run.signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#armTimer()
    if (run.signal?.aborted === true) this.#onAbort()
  }

  get isLive(): boolean {
    return (
      this.#state.phase !== 'ended' && this.#state.phase !== 'paired' && this.#state.phase !== 'unconfirmed'
    )
  }

  get isForgettable(): boolean {
    return isForgettable(this.#state, this.#components.clock.monotonic())
  }

  isAddressedBy(peer: string, message: MessageOf<'Response'>): boolean {
    return opensAttempt(this.#context(), this.#state, peer, message)
  }

  onRequest(peer: string, message: MessageOf<'PairingRequest'>): PairingMessage | null {
    const { random } = this.#components
    return this.#exchange({
      type: 'request',
      peer,
      message,
      fresh: { nonce: random(32), secret: random(32) },
    })
  }

  /** Holds the answer back a little while a person decides, so that a quick yes needs no second question. */
  async onResponse(
    peer: string,
    message: MessageOf<'Response'>,
    hold: AbortSignal,
  ): Promise<PairingMessage | null> {
    const event: InitiatorEvent = { type: 'response', peer, message }
    let answer = this.#exchange(event)
    while (answer?.type === 'Waiting' && this.#isDeciding() && !hold.aborted) {
      await Promise.race([this.#changed.promise, aborted(hold)])
      answer = this.#exchange(event)
    }
    if (answer?.type === 'Waiting') answer = this.#exchange(event)
    return answer
  }

  /** The first time, the row is written before there is an answer: the same message is then brought again. */
  onConfirmed(peer: string, message: MessageOf<'Confirmed'>): PairingMessage | null {
    const event: InitiatorEvent = { type: 'confirmed', peer, message }
    return this.#exchange(event) ?? (this.#state.phase === 'paired' ? this.#exchange(event) : null)
  }

  onCancelReceived(peer: string, message: MessageOf<'Cancel'>): PairingMessage | null {
    return this.#exchange({ type: 'cancel-received', peer, message })
  }

  async cancel(): Promise<void> {
    this.#deliver({ type: 'cancelled' })
    await Promise.allSettled(this.#told)
  }

  /** The program ends. What was agreed stays in its row and can be finished after the next start, as after a crash. */
  async close(): Promise<void> {
    if (this.#state.phase === 'completed') {
      const { peer } = this.#state.agreement.pair
      this.#finish({ type: 'finished', outcome: 'unconfirmed', peer })
    } else if (this.#state.phase !== 'unconfirmed') await this.cancel()
    this.#cancelTimer()
  }

  readonly #onAbort = (): void => {
    this.#deliver({ type: 'cancelled' })
  }

  #isDeciding(): boolean {
    return this.#state.phase === 'approving' || this.#state.phase === 'persisting'
  }

  /** Delivers what came over an exchange, and returns its answer: null is silence. */
  #exchange(event: InitiatorEvent): PairingMessage | null {
    const effects = this.#deliver(event)
    const answer = effects.find((effect) => effect.type === 'answer')
    return answer?.message ?? null
  }

  #deliver(event: InitiatorEvent): InitiatorEffect[] {
    const before = this.#state.phase
    const { state, effects } = advance(this.#context(), this.#state, event)
    this.#state = state
    if (state.phase !== before) this.#onPhaseChange(before)
    for (const effect of effects) this.#perform(effect)
    return effects
  }

  #perform(effect: InitiatorEffect): void {
    switch (effect.type) {
      case 'answer':
      case 'silence':
        return
      case 'ask':
        return this.#ask(effect)
      case 'persist':
        return this.#persist(effect)
      case 'forget':
        return this.#forget(effect.peer)
      case 'send':
        this.#told.push(this.#tell(effect.peer, effect.message))
        return
      case 'finished':
        return this.#finish(effect)
    }
  }

  #ask({ peer, name, digits }: Extract<InitiatorEffect, { type: 'ask' }>): void {
    const { confirm, onProgress } = this.#run
    onProgress({ kind: 'contact' })
    onProgress({ kind: 'digits', digits })
    if (confirm === undefined) {
      this.#deliver({ type: 'approved' })
      return
    }
    const question = new AbortController()
    this.#question = question
    const id = this.#components.idOf(peer)
    Promise.resolve(confirm({ name, digits, id, peerId: peer }, { signal: question.signal })).then(
      (yes) => this.#deliver({ type: yes ? 'approved' : 'declined' }),
      () => this.#deliver({ type: 'declined' }),
    )
  }

  #persist(effect: Extract<InitiatorEffect, { type: 'persist' }>): void {
    const { trust } = this.#components
    try {
      if (effect.row === 'active') trust.activate(effect.peer, this.#lastWord)
      else {
        trust.writeProvisional('pending', effect.pair)
        this.#lastWord = effect.pair.acknowledgement
      }
    } catch (error) {
      this.#persistError = error
      this.#components.log('error', 'pairing.persist-failed', {
        sessionId: this.#sessionId,
        error: String(error),
      })
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

  #finish(effect: Extract<InitiatorEffect, { type: 'finished' }>): void {
    this.#run.signal?.removeEventListener('abort', this.#onAbort)
    switch (effect.outcome) {
      case 'paired':
        this.#outcome.resolve(effect.peer)
        return
      case 'unconfirmed':
        this.#components.onUnfinished(effect.peer)
        this.#outcome.reject(
          new SpacedockError('interrupted', 'The other device has not confirmed the pairing yet.', {
            hint: 'It finishes by itself as soon as both devices are connected; pairing again helps too.',
          }),
        )
        return
      case 'ended':
        this.#outcome.reject(
          effect.reason === 'failed'
            ? storageFailure(this.#persistError)
            : pairingError(effect.reason, 'initiator'),
        )
    }
  }

  #onPhaseChange(before: InitiatorState['phase']): void {
    const { phase } = this.#state
    this.#components.log('info', 'pairing.phase', {
      role: 'initiator',
      sessionId: this.#sessionId,
      from: before,
      to: phase,
    })
    if (before === 'approving') this.#question?.abort()
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    if (this.#state.phase === 'approving') this.#showPairing(this.#state.winner.attempt.peer)
    if (!this.isLive) this.#showPairing(null)
    this.#armTimer()
  }

  #showPairing(peer: string | null): void {
    const { onPairing } = this.#components
    if (this.#pairingWith !== null) onPairing(this.#pairingWith, false)
    if (peer !== null) onPairing(peer, true)
    this.#pairingWith = peer
  }

  /** Wakes the machine when something of its own is due. */
  #armTimer(): void {
    this.#cancelTimer()
    const { clock } = this.#components
    const due = dueAt(this.#state)
    if (due === null) return
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

function dueAt(state: InitiatorState): number | null {
  switch (state.phase) {
    case 'open':
      return state.expiresAt
    case 'approving':
      return state.approveBy
    case 'completed':
      return state.confirmBy
    case 'persisting':
    case 'activating':
    case 'unconfirmed':
    case 'paired':
    case 'ended':
      return null
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
