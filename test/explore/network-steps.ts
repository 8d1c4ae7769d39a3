import { startJoiner } from '../../src/pairing/joiner-state.ts'
import { sameMac } from '../../src/pairing/proofs.ts'
import type { Flight } from './arrival.ts'
import { checkAnswer, deliver, type Outcome } from './effects.ts'
import { emitDelivery, emitEvent, type Emit, type StepKind } from './emit.ts'
import { initiatorName, outsiderName, type MachineTable } from './machines.ts'
import { launch, type Setting } from './setting.ts'
import { activate } from './trust-rows.ts'
import { at, placesOf, rowAt, type Scenario } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** What happens between a joiner and the initiator. */

export function joinerSteps(setting: Setting, world: number[], device: PeerId, emit: Emit): void {
  const { table, scenario } = setting
  const places = placesOf(device)
  const id = at(world, places.machine)
  const run = table.joiner(id)
  if (run === null) {
    const left = at(world, places.runsLeft)
    if (left === 0 || at(world, places.write) !== 0) return
    const next = [...world]
    next[places.runsLeft] = left - 1
    next[places.machine] = startJoin(table, scenario, device, scenario.joinsAgain - left + 1)
    emit('fault', `${device}: its person types the code again`, next, null)
    return
  }
  if (run.state.phase === 'searching') {
    const peers = [
      ...(scenario.initiator ? [initiatorName] : []),
      ...(scenario.outsider === 'none' ? [] : [outsiderName]),
    ]
    for (const peer of peers) {
      const label = `${device}: asks ${peer}`
      emitEvent(setting, world, emit, 'progress', label, device, table.candidateEvent(peer))
    }
  }
  if (run.repeating === null || run.repeating.peer === outsiderName) return
  const next = [...world]
  const { peer, message } = run.repeating
  launch(setting, next, device, { kind: 'ask', from: device, to: peer, message })
  emit('progress', `${device}: sends ${message.type}`, next, null)
}

export function networkSteps(setting: Setting, world: number[], joiner: PeerId, emit: Emit): void {
  const { tables } = setting
  const place = placesOf(joiner).flights
  const set = at(world, place)
  for (const id of tables.flightSets.valueOf(set)) {
    const flight = tables.flights.valueOf(id)
    if (flight === null) continue
    const without = [...world]
    without[place] = tables.without.get(set, id)
    const label = `${flight.from} -> ${flight.to}  ${flight.message.type}`
    emit('fault', `${label} is lost`, without, null)
    emitArrival(setting, without, joiner, id, 'progress', label, emit)
    emitArrival(setting, world, joiner, id, 'fault', `${label} (and once more later)`, emit)
  }
}

function emitArrival(
  setting: Setting,
  world: number[],
  joiner: PeerId,
  flightId: number,
  kind: StepKind,
  label: string,
  emit: Emit,
): void {
  const { tables, arrivals } = setting
  const flight = tables.flights.valueOf(flightId)
  const arrived = arrivals.get(flightId, 0)
  if (flight === null || arrived === null) return
  emitDelivery(setting, emit, kind, label, (forgetFails) => {
    const outcome = deliver(setting, world, flight.to, arrived.id, forgetFails)
    if (flight.to !== initiatorName) return outcome
    confirmAfterRestart(setting, outcome, flight)
    outcome.violation ??= checkAnswer(setting, outcome.next, joiner, flight.message.type, outcome.answer)
    if (outcome.answer === null || flight.kind !== 'ask') return outcome
    const answer = { kind: 'answer', from: flight.to, to: flight.from, message: outcome.answer } as const
    launch(setting, outcome.next, joiner, answer)
    return outcome
  })
}

/** As the shell does: no machine has an answer, so the pending row decides. */
function confirmAfterRestart(setting: Setting, outcome: Outcome, { from, message }: Flight): void {
  if (outcome.answer !== null || message.type !== 'Confirmed') return
  const row = setting.tables.rows.valueOf(at(outcome.next, rowAt(initiatorName, from)))
  if (row?.state !== 'provisional' || !sameMac(row.acknowledgement, message.acknowledgement)) return
  outcome.violation ??= activate(setting, outcome.next, initiatorName, from, 'proof')
  outcome.answer = { type: 'Acknowledged' }
}

/** Somebody types the code, for the first time or again. */
export function startJoin(table: MachineTable, scenario: Scenario, device: PeerId, run: number): number {
  const state = startJoiner(scenario.joinTimeoutMs)
  return table.idOfJoiner({ state, now: 0, asking: null, device, repeating: null, run })
}
