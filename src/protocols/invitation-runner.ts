import { addAbortListener } from 'node:events'
import { pause } from '../clock.ts'
import {
  initiatorDueAt,
  isForgettable,
  opensAttempt,
  startInitiator,
  type InitiatorEffect,
  type InitiatorEvent,
  type InitiatorState,
} from '../pairing/initiator-state.ts'
import { advance } from '../pairing/initiator.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import { invitationLifetimeMs } from '../pairing/limits.ts'
import type { MessageOf, PairingMessage } from '../pairing/pairing-messages.ts'
import { MachineRun, type MachineWork } from './machine-run.ts'
import type { PairingComponents, PairingRun, PairingTransport } from './pairing-components.ts'
import { pairingError, storageFailure, unfinishedPairing } from './pairing-errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Longest time that an answer waits for a person before it says `Waiting`; the asker's patience is 5 s. */
const holdMs = 2_000

/** Runs one initiator machine: one live code. */
export class InvitationRunner implements MachineWork<InitiatorState, InitiatorEffect> {
  /** Resolves with the peer id; rejects with a SpacedockError. */
  readonly paired: Promise<PeerId>
  readonly #outcome = Promise.withResolvers<PeerId>()
  readonly #machine: MachineRun<InitiatorState, InitiatorEvent, InitiatorEffect>
  readonly #components: PairingComponents
  readonly #run: PairingRun
  readonly #transport: PairingTransport
  readonly #told: Promise<void>[] = []
  readonly #listening: Disposable | undefined

  constructor(components: PairingComponents, keys: CodeKeys, run: PairingRun, transport: PairingTransport) {
    this.#components = components
    this.#run = run
    this.#transport = transport
    this.paired = this.#outcome.promise
    // A caller of `paired` gets the rejection; when there is none, it is an event of the node, not a crash.
    this.paired.catch(() => {})
    const start = startInitiator(components.clock.monotonic() + invitationLifetimeMs)
    const machine = { role: 'initiator', start, advance, dueAt: initiatorDueAt } as const
    this.#machine = new MachineRun<InitiatorState, InitiatorEvent, InitiatorEffect>(
      components,
      keys,
      machine,
      this,
    )
    const { signal } = run
    this.#listening = signal && addAbortListener(signal, () => this.#machine.deliver({ type: 'cancelled' }))
  }

  get sessionId(): string {
    return this.#machine.sessionId
  }

  get isLive(): boolean {
    const { phase } = this.#machine.state
    return phase !== 'ended' && phase !== 'paired' && phase !== 'unconfirmed'
  }

  get isForgettable(): boolean {
    return isForgettable(this.#machine.state, this.#components.clock.monotonic())
  }

  isAddressedBy(peer: PeerId, message: MessageOf<'Response'>): boolean {
    return opensAttempt(this.#machine.context, this.#machine.state, peer, message)
  }

  onRequest(peer: PeerId, message: MessageOf<'PairingRequest'>): PairingMessage | null {
    const { random } = this.#components
    const fresh = { nonce: random(32), secret: random(32) }
    return this.#machine.deliver({ type: 'request', peer, message, fresh })
  }

  /** Holds the answer back a little while a person decides, so that a quick yes needs no second question. */
  async onResponse(
    peer: PeerId,
    message: MessageOf<'Response'>,
    { signal }: { signal: AbortSignal },
  ): Promise<PairingMessage | null> {
    const event: InitiatorEvent = { type: 'response', peer, message }
    const answer = this.#machine.deliver(event)
    if (answer?.type !== 'Waiting') return answer
    // A yes without a question may have been given by now: then the answer is another one already.
    if (this.#machine.state.phase === 'approving') {
      await pause(this.#components.clock, holdMs, AbortSignal.any([signal, this.#machine.phase]))
    }
    return this.#machine.deliver(event)
  }

  /** Writes the row before there is an answer, the first time: the same message is then brought again. */
  onConfirmed(peer: PeerId, message: MessageOf<'Confirmed'>): PairingMessage | null {
    const event: InitiatorEvent = { type: 'confirmed', peer, message }
    const answer = this.#machine.deliver(event)
    return answer ?? (this.#machine.state.phase === 'paired' ? this.#machine.deliver(event) : null)
  }

  onCancelReceived(peer: PeerId, message: MessageOf<'Cancel'>): PairingMessage | null {
    return this.#machine.deliver({ type: 'cancel-received', peer, message })
  }

  async cancel(): Promise<void> {
    this.#machine.deliver({ type: 'cancelled' })
    await Promise.allSettled(this.#told)
  }

  /** Ends with the program. What was agreed stays in its row and can be finished after the next start, as after a crash. */
  async close(): Promise<void> {
    const { state } = this.#machine
    if (state.phase === 'completed') this.#finishLater(state.agreement.pair.peer)
    else if (state.phase !== 'unconfirmed') await this.cancel()
    this.#machine.stop()
  }

  perform(effect: InitiatorEffect): PairingMessage | null {
    switch (effect.type) {
      case 'answer':
        return effect.message
      case 'silence':
        return null
      case 'ask':
        this.#run.observer.progress({ kind: 'contact' })
        this.#run.observer.progress({ kind: 'digits', digits: effect.digits })
        this.#machine.ask(effect, this.#run.confirm)
        return null
      case 'persist':
        this.#machine.persist(effect)
        return null
      case 'forget':
        this.#machine.forget(effect)
        return null
      case 'send':
        this.#told.push(this.#transport.tell(effect.peer, effect.message))
        return null
      case 'finished':
        this.#finish(effect)
        return null
    }
  }

  phaseChanged(state: InitiatorState): void {
    if (state.phase === 'approving') this.#machine.showPairing(state.winner.attempt.peer)
    if (!this.isLive) this.#machine.showPairing(null)
  }

  #finish(effect: Extract<InitiatorEffect, { type: 'finished' }>): void {
    this.#listening?.[Symbol.dispose]()
    switch (effect.outcome) {
      case 'paired':
        return this.#outcome.resolve(effect.peer)
      case 'unconfirmed':
        return this.#finishLater(effect.peer)
      case 'ended':
        return this.#outcome.reject(
          effect.reason === 'failed'
            ? storageFailure(this.#machine.persistError)
            : pairingError(effect.reason, 'initiator', this.#run.observer),
        )
    }
  }

  #finishLater(peer: PeerId): void {
    this.#components.connections.connectNow(peer)
    this.#outcome.reject(unfinishedPairing())
  }
}
