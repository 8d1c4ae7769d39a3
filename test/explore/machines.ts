import type { MachineContext } from '../../src/pairing/machine.ts'
import type {
  InitiatorEffect,
  InitiatorEvent,
  InitiatorState,
  InitiatorStep,
} from '../../src/pairing/initiator-state.ts'
import type { JoinerEffect, JoinerEvent, JoinerState, JoinerStep } from '../../src/pairing/joiner-state.ts'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import { attemptMs } from '../../src/pairing/limits.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import type { Suite } from '../../src/pairing/suite.ts'
import { digest, fixedBytes } from './fake-suite.ts'
import { Interner, PairMemo } from './interner.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/** What is explored: the shipped machines, or a broken variant that the exploration has to catch. */
export interface Machines {
  initiator: (context: MachineContext, state: InitiatorState, event: InitiatorEvent) => InitiatorStep
  joiner: (context: MachineContext, state: JoinerState, event: JoinerEvent) => JoinerStep
  suite: Suite
}

export const initiatorName = asPeer('initiator')
export const joinerNames: readonly PeerId[] = [asPeer('joiner-1'), asPeer('joiner-2')]
/** The stranger, the forger or the thief. */
export const outsiderName = asPeer('outsider')

interface Running<State> {
  readonly state: State
  /** This device's own monotonic clock. It stands still until the model says that a deadline has come. */
  readonly now: number
  /** Whether the person of this device has a question before her. */
  readonly asking: { peer: PeerId; digits: string } | null
}

export type InitiatorRun = Running<InitiatorState>
export interface JoinerRun extends Running<JoinerState> {
  readonly device: PeerId
  /** What the shell says again and again while the phase stays. */
  readonly repeating: { peer: PeerId; message: PairingMessage } | null
  /** Counts the times that this device's person has typed the code. */
  readonly run: number
}

/** An event without its randomness, which the model adds. */
export type MachineEvent = InitiatorEvent | JoinerEvent

type PlainEvent = Exclude<MachineEvent, { peer: PeerId }>

export interface Stepped<Run, Effect> {
  before: Run
  after: Run
  id: number
  effects: Effect[]
}

/** The running machines, numbered, and their steps, each computed once. */
export class MachineTable {
  readonly machines: Machines
  readonly keys
  readonly #initiators = new Interner<InitiatorRun | null>(null, (run) => (run === null ? '' : runText(run)))
  readonly #joiners = new Interner<JoinerRun | null>(null, (run) => (run === null ? '' : runText(run)))
  readonly #events = new Interner<MachineEvent>({ type: 'tick' }, textOf)
  readonly #plainEvents = new Map<string, number>()
  readonly #initiatorSteps = new PairMemo((id, event) => this.#stepInitiator(id, event))
  readonly #joinerSteps = new PairMemo((id, event) => this.#stepJoiner(id, event))

  constructor(machines: Machines) {
    this.machines = machines
    this.keys = deriveCodeKeys(machines.suite, new Uint8Array(16).fill(7))
  }

  /** Null: no process, or nothing left for it to do. */
  initiator(id: number): InitiatorRun | null {
    return this.#initiators.valueOf(id)
  }

  joiner(id: number): JoinerRun | null {
    return this.#joiners.valueOf(id)
  }

  idOfInitiator(run: InitiatorRun): number {
    return this.#initiators.idOf(run)
  }

  idOfJoiner(run: JoinerRun): number {
    return this.#joiners.idOf(run)
  }

  eventId(event: MachineEvent): number {
    return this.#events.idOf(event)
  }

  /** The number of an event that carries nothing, or nothing but a peer. */
  plainEvent(type: PlainEvent['type']): number {
    let id = this.#plainEvents.get(type)
    if (id === undefined) this.#plainEvents.set(type, (id = this.eventId({ type })))
    return id
  }

  candidateEvent(peer: PeerId): number {
    let id = this.#plainEvents.get(peer)
    if (id === undefined) {
      const fresh = { nonce: new Uint8Array(), secret: new Uint8Array() }
      this.#plainEvents.set(peer, (id = this.eventId({ type: 'candidate', peer, fresh })))
    }
    return id
  }

  stepInitiator(id: number, event: number): Stepped<InitiatorRun, InitiatorEffect> {
    return this.#initiatorSteps.get(id, event)
  }

  stepJoiner(id: number, event: number): Stepped<JoinerRun, JoinerEffect> {
    return this.#joinerSteps.get(id, event)
  }

  contextOf(device: PeerId, now = 0): MachineContext {
    return { suite: this.machines.suite, keys: this.keys, localPeerId: device, deviceName: device, now }
  }

  #stepInitiator(id: number, eventId: number): Stepped<InitiatorRun, InitiatorEffect> {
    const before = this.initiator(id)
    let event = this.#events.valueOf(eventId) as InitiatorEvent
    if (before === null) throw new Error('no initiator is running')
    if (event.type === 'request')
      event = { ...event, fresh: freshBytes(`${event.peer}/${before.state.challenges}`) }
    const context = this.contextOf(initiatorName, before.now)
    const { state, effects } = this.machines.initiator(context, before.state, event)
    const question = effects.find((effect) => effect.type === 'ask') ?? null
    const asking = question ?? (state.phase === before.state.phase ? before.asking : null)
    const after = { state, now: before.now, asking: asking && { peer: asking.peer, digits: asking.digits } }
    return { before, after, id: this.idOfInitiator(after), effects }
  }

  #stepJoiner(id: number, eventId: number): Stepped<JoinerRun, JoinerEffect> {
    const before = this.joiner(id)
    let event = this.#events.valueOf(eventId) as JoinerEvent
    if (before === null) throw new Error('no joiner is running')
    const { device, run, now } = before
    if (event.type === 'candidate' && before.state.phase === 'searching') {
      event = { ...event, fresh: freshBytes(`${device}/${run}/${before.state.responses}`) }
    }
    const { state, effects } = this.machines.joiner(this.contextOf(device, now), before.state, event)
    const stays = state.phase === before.state.phase
    const question = effects.find((effect) => effect.type === 'ask') ?? (stays ? before.asking : null)
    const repeat = effects.find((effect) => effect.type === 'repeat') ?? (stays ? before.repeating : null)
    const after: JoinerRun = {
      state,
      now,
      asking: question && { peer: question.peer, digits: question.digits },
      repeating: repeat && { peer: repeat.peer, message: repeat.message },
      device,
      run,
    }
    const over = state.phase === 'paired' || state.phase === 'unfinished' || state.phase === 'failed'
    const isWriting =
      state.phase === 'failed' && state.forgetWhenPersisted !== null && event.type !== 'persist-failed'
    const forgotten = over && !isWriting
    // The shell lets go of a machine that has ended: whatever else arrives meets nobody.
    return { before, after, id: forgotten ? 0 : this.idOfJoiner(after), effects }
  }
}

/** The deadline that the shell's timer waits for. */
export function dueAt(state: InitiatorState | JoinerState): number | null {
  if (state.phase === 'open') return state.expiresAt
  if (state.phase === 'approving') return state.approveBy
  if (state.phase === 'completed' || state.phase === 'confirming') return state.confirmBy
  if (state.phase === 'searching') return state.deadline
  if (state.phase === 'responding') return state.respondBy
  if (state.phase === 'deciding') return state.decideBy
  return null
}

export function freshBytes(name: string): { nonce: Uint8Array; secret: Uint8Array } {
  return { nonce: fixedBytes(`nonce of ${name}`), secret: fixedBytes(`secret of ${name}`) }
}

export function textOf(value: unknown): string {
  return relativeText(value, 0)
}

const deadlines = new Set(['expiresAt', 'approveBy', 'confirmBy', 'deadline', 'respondBy', 'decideBy'])

function runText(run: InitiatorRun | JoinerRun): string {
  const who = 'device' in run ? [run.device, run.run, run.repeating] : []
  return relativeText([run.state, run.asking, ...who], run.now)
}

/** Two machines whose clocks differ, and everything else is equally far away, are in the same state. */
function relativeText(value: unknown, now: number): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (part instanceof Uint8Array) return digest(part)
    if (key === 'endedAt') return undefined
    if (typeof part !== 'number') return part
    if (deadlines.has(key)) return Math.max(0, part - now)
    return key === 'startedAt' ? Math.min(now - part, attemptMs) : part
  })
}
