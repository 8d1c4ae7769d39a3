import { base16 } from '@scure/base'
import type { Confirm } from '../api.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import type { CommonEffect, LocalEvent, MachineContext, Step } from '../pairing/machine.ts'
import type { PairingMessage } from '../pairing/pairing-messages.ts'
import type { PairingComponents } from './pairing-components.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { deviceIdOf } from '../store/device-id.ts'

/** A pure machine, and the state in which it starts. */
export interface Machine<State, Event, Effect> {
  role: 'initiator' | 'joiner'
  start: State
  advance: (context: MachineContext, state: State, event: Event | LocalEvent) => Step<State, Effect>
  dueAt: (state: State) => number | null
}

/** Does the work when a machine has moved or wants something. */
export interface MachineWork<State, Effect> {
  /** Returns null unless the effect is the answer to the exchange that the event came from. */
  perform(effect: Effect): PairingMessage | null
  phaseChanged(state: State, before: State): void
}

type Wanted<Type extends CommonEffect<string>['type']> = Extract<
  CommonEffect<'pending' | 'confirming'>,
  { type: Type }
>

/** Runs one machine: brings it events, does what both machines may want, wakes it when something of its own is due. */
export class MachineRun<State extends { phase: string }, Event, Effect> {
  /** 32 hex digits. */
  readonly sessionId: string
  /** Error of the storage when a row could not be made durable. */
  persistError: unknown = null
  #state: State
  #phase = new AbortController()
  #cancelTimer: () => void = () => {}
  #pairingWith: PeerId | null = null
  readonly #components: PairingComponents
  readonly #keys: CodeKeys
  readonly #machine: Machine<State, Event, Effect>
  readonly #work: MachineWork<State, Effect>

  constructor(
    components: PairingComponents,
    keys: CodeKeys,
    machine: Machine<State, Event, Effect>,
    work: MachineWork<State, Effect>,
  ) {
    this.sessionId = sessionIdOf(keys)
    this.#components = components
    this.#keys = keys
    this.#machine = machine
    this.#work = work
    this.#state = machine.start
    this.#armTimer()
  }

  get state(): State {
    return this.#state
  }

  /** Aborts when the phase changes: work under way for the old one is of no use. */
  get phase(): AbortSignal {
    return this.#phase.signal
  }

  get context(): MachineContext {
    const { suite, host, settings, clock } = this.#components
    return {
      suite,
      keys: this.#keys,
      localPeerId: host.peerId,
      deviceName: settings.get().name ?? '',
      now: clock.monotonic(),
    }
  }

  /** Returns the answer to the exchange that the event came from; null is silence. */
  deliver(event: Event | LocalEvent): PairingMessage | null {
    const before = this.#state
    const { state, effects } = this.#machine.advance(this.context, before, event)
    this.#state = state
    if (state.phase !== before.phase) this.#onPhase(before)
    return effects.map((effect) => this.#work.perform(effect)).find((answer) => answer !== null) ?? null
  }

  ask({ peer, name, digits }: Wanted<'ask'>, confirm: Confirm | undefined): void {
    if (confirm === undefined) {
      this.deliver({ type: 'approved' })
      return
    }
    const { signal } = this.#phase
    const ask = async (): Promise<boolean> =>
      confirm({ name, digits, id: deviceIdOf(peer), peerId: peer }, { signal })
    ask().then(
      (yes) => this.deliver({ type: yes ? 'approved' : 'declined' }),
      () => this.deliver({ type: 'declined' }),
    )
  }

  persist({ row, pair }: Wanted<'persist'>): void {
    const { trust, log } = this.#components
    try {
      if (row === 'active') trust.activate(pair)
      else trust.writeProvisional(row, pair)
    } catch (error) {
      this.persistError = error
      log('error', 'pairing.persist-failed', { sessionId: this.sessionId, error: String(error) })
      this.deliver({ type: 'persist-failed' })
      return
    }
    this.deliver({ type: 'persisted' })
  }

  forget({ pair }: Wanted<'forget'>): void {
    const { trust, log } = this.#components
    try {
      trust.forget(pair)
    } catch (error) {
      // The row ends by itself after seven days.
      log('error', 'pairing.forget-failed', { sessionId: this.sessionId, error: String(error) })
    }
  }

  /** Shows in the registry with whom a pairing runs. */
  showPairing(peer: PeerId | null): void {
    const { registry } = this.#components
    if (this.#pairingWith !== null) registry.pairing(this.#pairingWith, false)
    if (peer !== null) registry.pairing(peer, true)
    this.#pairingWith = peer
  }

  stop(): void {
    this.#cancelTimer()
    this.#phase.abort()
    this.showPairing(null)
  }

  #onPhase(before: State): void {
    const { role } = this.#machine
    const { sessionId } = this
    const [from, to] = [before.phase, this.#state.phase]
    this.#components.log('info', 'pairing.phase', { role, sessionId, from, to })
    this.#phase.abort()
    this.#phase = new AbortController()
    this.#work.phaseChanged(this.#state, before)
    this.#armTimer()
  }

  #armTimer(): void {
    this.#cancelTimer()
    const { clock } = this.#components
    const due = this.#machine.dueAt(this.#state)
    if (due === null) return
    this.#cancelTimer = clock.after(Math.max(0, due - clock.monotonic()), () => {
      this.deliver({ type: 'tick' })
      this.#armTimer()
    })
  }
}

/** 32 hex digits, the same on both sides; safe to show and log. */
export function sessionIdOf({ sessionId }: CodeKeys): string {
  return base16.encode(sessionId).toLowerCase()
}
