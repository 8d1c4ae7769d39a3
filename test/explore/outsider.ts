import type { InitiatorState } from '../../src/pairing/initiator-state.ts'
import { deriveCandidate } from '../../src/pairing/joiner-handshake.ts'
import type { JoinerState } from '../../src/pairing/joiner-state.ts'
import { sealedLength, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { arrivalOf, type Flight } from './arrival.ts'
import type { Setting } from './setting.ts'
import { PairMemo } from './interner.ts'
import { dueAt, initiatorName, outsiderName, type MachineTable } from './machines.ts'
import type { Emit } from './emit.ts'
import { at, machineAt, placesOf } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/**
 * Somebody without the code. The *stranger* reads every message that is sent and says any of them, and made-up ones of
 * every type, under its own peer id. The *forger* says them under the peer ids of others, as if Noise were broken.
 * Neither may change anything; so each of their steps is a check, and none leads anywhere.
 */
export class Outsider {
  readonly #setting: Setting
  readonly #verdicts: PairMemo<string | null>
  readonly #joinerVerdicts: PairMemo<string | null>
  readonly #said: PairMemo<readonly Flight[]>
  readonly #events = new Map<string, { id: number; label: string } | null>()

  constructor(setting: Setting) {
    this.#setting = setting
    this.#verdicts = new PairMemo((machine, event) => this.#judge(initiatorName, machine, event))
    this.#joinerVerdicts = new PairMemo((machine, event) => this.#judge(asPeer('joiner'), machine, event))
    this.#said = new PairMemo((device, machine) =>
      this.#saidBy(device === 0 ? initiatorName : asPeer('joiner'), machine),
    )
  }

  act(world: number[], devices: readonly PeerId[], emit: Emit): void {
    const { scenario } = this.#setting
    const overheard = this.#overheard(world, devices)
    const claims = scenario.outsider === 'stranger' ? [outsiderName] : devices
    for (const target of devices) {
      if (at(world, machineAt(target)) === 0) continue
      for (const claim of claims) {
        if (claim === target) continue
        for (const original of junk) this.#say(world, target, claim, original, emit)
        for (const original of overheard) this.#say(world, target, claim, original, emit)
      }
    }
  }

  #say(world: number[], target: PeerId, claim: PeerId, original: Flight, emit: Emit): void {
    // What the real one said to this very device is a duplicate, which the network does by itself.
    if (original.from === claim && original.to === target) return
    const asAnswer = target !== initiatorName
    if (claim !== outsiderName && isUnprotected(original.message, asAnswer)) return
    this.#try(world, target, claim, original.message, asAnswer ? 'answer' : 'ask', emit)
    if (asAnswer && original.message.type === 'Cancel') {
      this.#try(world, target, claim, original.message, 'tell', emit)
    }
  }

  #try(
    world: number[],
    target: PeerId,
    claim: PeerId,
    message: PairingMessage,
    kind: Flight['kind'],
    emit: Emit,
  ): void {
    const event = this.#eventOf(target, claim, message, kind)
    if (event === null) return
    const verdicts = target === initiatorName ? this.#verdicts : this.#joinerVerdicts
    emit('fault', event.label, world, verdicts.get(at(world, machineAt(target)), event.id))
  }

  #eventOf(
    target: PeerId,
    claim: PeerId,
    message: PairingMessage,
    kind: Flight['kind'],
  ): { id: number; label: string } | null {
    const { tables, table } = this.#setting
    const flight: Flight = { kind, from: claim, to: target, message }
    const key = `${kind} ${claim} ${target} ${tables.messageId(message)}`
    const known = this.#events.get(key)
    if (known !== undefined) return known
    const event = arrivalOf(flight)
    const speaker = claim === outsiderName ? outsiderName : `${outsiderName} (as ${claim})`
    const made = event && {
      id: table.eventId(event),
      label: `${speaker} -> ${target}  ${message.type}${kind === 'answer' ? ' as an answer' : ''}`,
    }
    this.#events.set(key, made)
    return made
  }

  /** Null when the machine is as it was, give or take a deadline that came anyway, and nothing was answered. */
  #judge(device: PeerId, machine: number, event: number): string | null {
    const { table } = this.#setting
    const step = (id: number) =>
      device === initiatorName ? table.stepInitiator(machine, id) : table.stepJoiner(machine, id)
    const stepped = step(event)
    const isAnswered = stepped.effects.some(({ type }) => type === 'answer')
    if (isAnswered && this.#setting.scenario.outsider === 'stranger') return 'a stranger gets silence'
    if (stepped.id === machine) return null
    const due = dueAt(stepped.before.state)
    const expired =
      due !== null && stepped.before.now >= due && stepped.id === step(table.plainEvent('tick')).id
    if (expired) return null
    const { state } = stepped.after
    const burnt = state.phase === 'ended' && state.reason === 'burnt'
    return burnt ? 'only misuse burns a code' : 'a stranger changes nothing'
  }

  #overheard(world: number[], devices: readonly PeerId[]): Flight[] {
    const { tables } = this.#setting
    const found: Flight[] = []
    for (const device of devices) {
      const machine = at(world, machineAt(device))
      if (machine !== 0) found.push(...this.#said.get(device === initiatorName ? 0 : 1, machine))
      if (device === initiatorName) continue
      for (const id of tables.flightSets.valueOf(at(world, placesOf(device).flights))) {
        const flight = tables.flights.valueOf(id)
        if (flight !== null) found.push(flight)
      }
    }
    return found
  }

  #saidBy(device: PeerId, machine: number): Flight[] {
    const { table } = this.#setting
    if (device === initiatorName) return saidByInitiator(table.initiator(machine)?.state)
    const run = table.joiner(machine)
    if (run === null) return []
    const said = saidByJoiner(table, run.device, run.state)
    if (run.repeating !== null)
      said.push({ kind: 'ask', from: run.device, to: run.repeating.peer, message: run.repeating.message })
    return said
  }
}

function saidByInitiator(state: InitiatorState | undefined): Flight[] {
  if (state === undefined) return []
  const from = initiatorName
  const said: Flight[] = state.attempts.map(({ peer, challenge }) => ({
    kind: 'answer',
    from,
    to: peer,
    message: challenge,
  }))
  if ('agreement' in state && state.phase !== 'persisting') {
    const { complete, pair } = state.agreement
    said.push({ kind: 'answer', from, to: pair.peer, message: complete })
  }
  return said
}

function saidByJoiner(table: MachineTable, from: PeerId, state: JoinerState): Flight[] {
  if (state.phase === 'searching') {
    const { seed } = state
    if (seed === null) return []
    return [initiatorName, outsiderName].map((to) => {
      const message = deriveCandidate(table.contextOf(from), seed, to).request
      return { kind: 'ask', from, to, message }
    })
  }
  const exchange =
    'exchange' in state ? state.exchange : 'agreement' in state ? state.agreement.exchange : null
  if (exchange === null) return []
  const to = exchange.candidate.peer
  return [exchange.candidate.request, exchange.response].map((message) => ({
    kind: 'ask',
    from,
    to,
    message,
  }))
}

/**
 * What only Noise protects. `Waiting` and `Acknowledged` carry no MAC, and a false Response spends the code of an attempt
 * that is open: whoever could speak as another peer could do that much, and still be trusted by nobody.
 */
function isUnprotected({ type }: PairingMessage, asAnswer: boolean): boolean {
  return asAnswer ? type === 'Waiting' || type === 'Acknowledged' : type === 'Response'
}

/** Made up without the code: every type, all zeros. */
const junk: readonly Flight[] = (
  [
    {
      type: 'PairingRequest',
      version: 1,
      suite: 'fake',
      commitment: new Uint8Array(32),
      probe: new Uint8Array(16),
    },
    {
      type: 'Challenge',
      nonce: new Uint8Array(32),
      share: new Uint8Array(32).fill(9),
      probe: new Uint8Array(16),
    },
    {
      type: 'Response',
      nonce: new Uint8Array(32),
      share: new Uint8Array(32).fill(9),
      sealed: new Uint8Array(sealedLength),
      proof: new Uint8Array(32),
    },
    { type: 'Waiting' },
    { type: 'Complete', sealed: new Uint8Array(sealedLength), proof: new Uint8Array(32) },
    { type: 'Refused', reason: 'declined', mac: new Uint8Array(32) },
    { type: 'Confirmed', acknowledgement: new Uint8Array(32) },
    { type: 'Acknowledged' },
    { type: 'Cancel', mac: new Uint8Array(32) },
  ] satisfies PairingMessage[]
).map((message) => ({ kind: 'ask', from: asPeer(''), to: asPeer(''), message }))
