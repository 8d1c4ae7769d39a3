import { startInitiator } from '../../src/pairing/initiator.ts'
import { startJoiner } from '../../src/pairing/joiner.ts'
import { invitationLifetimeMs } from '../../src/pairing/limits.ts'
import { sameMac } from '../../src/pairing/proofs.ts'
import { arrivalOf, type Flight } from './arrival.ts'
import {
  activate,
  checkAnswer,
  completeWrite,
  deliver,
  launch,
  stateOf,
  store,
  truthOf,
  setTruth,
  type Outcome,
  type Setting,
} from './effects.ts'
import { healings } from './healing.ts'
import { PairMemo } from './interner.ts'
import { dueAt, initiatorName, joinerNames, MachineTable, outsiderName } from './machines.ts'
import { NormalForm } from './normal-form.ts'
import { Outsider } from './outsider.ts'
import { Theft } from './theft.ts'
import {
  at,
  initiatorAt,
  machineAt,
  placesOf,
  rowAt,
  Tables,
  writeAt,
  type Scenario,
  type Subject,
} from './world.ts'

/**
 * What kind of step leads from one state to the next: `progress` is what happens when nobody disturbs, `time` a deadline, `heal` what the
 * node does later by itself, `fault` everything that goes wrong and every no.
 */
export type StepKind = 'progress' | 'time' | 'heal' | 'fault'
export type Emit = (kind: StepKind, label: string, next: number[], violation: string | null) => void

/** A subject in a scenario. */
export interface Model extends Setting {
  subject: Subject
  devices: readonly string[]
  outsider: Outsider | Theft | null
  normalForm: NormalForm
}

export function makeModel(subject: Subject, scenario: Scenario): Model {
  const table = new MachineTable(subject)
  const tables = new Tables(scenario.inFlight)
  const arrivals = new PairMemo((id) => {
    const flight = tables.flights.valueOf(id)
    const event = flight === null ? null : arrivalOf(flight)
    return event === null ? null : { id: table.eventId(event) }
  })
  const setting = { scenario, table, tables, arrivals }
  const { outsider } = scenario
  return {
    ...setting,
    subject,
    devices: devicesOf(scenario),
    normalForm: new NormalForm(tables),
    outsider: outsider === 'none' ? null : outsider === 'thief' ? new Theft(setting) : new Outsider(setting),
  }
}

function devicesOf({ initiator, joiners }: Scenario): string[] {
  return [...(initiator ? [initiatorName] : []), ...joinerNames.slice(0, joiners)]
}

export function initialWorld({ scenario, table }: Model): number[] {
  const world = Array.from({ length: 18 }, () => 0)
  if (scenario.initiator) {
    const state = startInitiator(invitationLifetimeMs)
    world[initiatorAt.machine] = table.idOfInitiator({ state, now: 0, asking: null })
  }
  for (const device of joinerNames.slice(0, scenario.joiners)) {
    world[placesOf(device).machine] = startRun(table, scenario, device, 0)
    world[placesOf(device).runsLeft] = scenario.joinsAgain
  }
  return world
}

/** Every step that can follow: one line of the counterexample each. */
export function successors(setting: Model, world: number[], emitRaw: Emit): void {
  const { scenario, devices, subject, normalForm } = setting
  const emit: Emit = (kind, label, next, violation) => {
    if (next !== world) normalForm.apply(next)
    emitRaw(kind, label, next, violation)
  }
  for (const device of devices) {
    timeSteps(setting, world, device, emit)
    personSteps(setting, world, device, emit)
    diskSteps(setting, world, device, emit)
  }
  for (const joiner of devices.filter((device) => device !== initiatorName)) {
    joinerSteps(setting, world, joiner, emit)
    if (scenario.initiator) networkSteps(setting, world, joiner, emit)
  }
  healings(setting, subject, world, devices, emit)
  setting.outsider?.act(world, devices, emit)
}

/** Delivers an event; where the step drops a row, the disk may also fail to. */
export function emitDelivery(
  setting: Setting,
  emit: Emit,
  kind: StepKind,
  label: string,
  run: (forgetFails: boolean) => Outcome,
): void {
  const outcome = run(false)
  emit(kind, label, outcome.next, outcome.violation)
  if (!outcome.forgets || !setting.scenario.faults) return
  const failed = run(true)
  emit('fault', `${label}; the row cannot be dropped`, failed.next, failed.violation)
}

function emitEvent(
  setting: Setting,
  world: number[],
  emit: Emit,
  kind: StepKind,
  label: string,
  device: string,
  event: number,
): void {
  emitDelivery(setting, emit, kind, label, (forgetFails) =>
    deliver(setting, world, device, event, forgetFails),
  )
}

function timeSteps(setting: Setting, world: number[], device: string, emit: Emit): void {
  const { table } = setting
  const place = machineAt(device)
  const id = at(world, place)
  if (id === 0) return
  const isInitiator = device === initiatorName
  const run = isInitiator ? table.initiator(id) : table.joiner(id)
  const due = run === null ? null : dueAt(run.state)
  if (run === null || due === null) return
  if (run.now >= due) {
    emitEvent(
      setting,
      world,
      emit,
      'progress',
      `${device}: the timer fires`,
      device,
      table.plainEvent('tick'),
    )
    return
  }
  const next = [...world]
  next[place] =
    'device' in run ? table.idOfJoiner({ ...run, now: due }) : table.idOfInitiator({ ...run, now: due })
  emit('time', `${device}: the deadline of '${run.state.phase}' comes`, next, null)
}

function personSteps(setting: Setting, world: number[], device: string, emit: Emit): void {
  const { table, scenario } = setting
  const id = at(world, machineAt(device))
  if (id === 0) return
  const run = device === initiatorName ? table.initiator(id) : table.joiner(id)
  if (run === null) return
  const { asking } = run
  if (asking !== null && mayApprove(setting, world, device, asking.digits)) {
    const marked = [...world]
    const { approved } = truthOf(setting, world)
    setTruth(setting, marked, { approved: { ...approved, [device]: asking.peer } })
    emitEvent(
      setting,
      marked,
      emit,
      'progress',
      `${device}: its person says yes`,
      device,
      table.plainEvent('approved'),
    )
  }
  if (!scenario.faults) return
  if (asking !== null) {
    emitEvent(
      setting,
      world,
      emit,
      'fault',
      `${device}: its person says no`,
      device,
      table.plainEvent('declined'),
    )
  }
  emitEvent(
    setting,
    world,
    emit,
    'fault',
    `${device}: its person calls it off`,
    device,
    table.plainEvent('cancelled'),
  )
}

/** A careful person says yes only to digits that the device in her other hand shows as well. */
function mayApprove(setting: Setting, world: number[], device: string, digits: string): boolean {
  if (!setting.scenario.peopleCompare) return true
  return devicesOf(setting.scenario).some((other) => {
    if (other === device || (device !== initiatorName && other !== initiatorName)) return false
    return digitsShown(setting, world, other) === digits
  })
}

function digitsShown(setting: Setting, world: number[], device: string): string | null {
  const state = stateOf(setting, world, device)
  if (state === null) return null
  if ('winner' in state) return state.winner?.digits ?? null
  if ('exchange' in state) return state.exchange.digits
  if (!('agreement' in state)) return null
  const { agreement } = state
  return 'winner' in agreement ? agreement.winner.digits : agreement.exchange.digits
}

function diskSteps(setting: Setting, world: number[], device: string, emit: Emit): void {
  const { table, tables, scenario } = setting
  const write = tables.writes.valueOf(at(world, writeAt(device)))
  if (write !== null) {
    const peer = write.row === 'active' ? write.peer : write.pair.peer
    const row = tables.rows.valueOf(at(world, rowAt(device, peer)))
    const possible = write.row === 'provisional' || (row !== null && row.state !== 'needs-pairing')
    if (possible) {
      emitDelivery(setting, emit, 'progress', `${device}: the ${write.row} row is durable`, (forgetFails) =>
        completeWrite(setting, world, device, forgetFails),
      )
    }
    if (scenario.faults || !possible) {
      const failed = [...world]
      failed[writeAt(device)] = 0
      const label = `${device}: the ${write.row} row cannot be written`
      emitEvent(
        setting,
        failed,
        emit,
        possible ? 'fault' : 'progress',
        label,
        device,
        table.plainEvent('persist-failed'),
      )
    }
    if (scenario.faults && possible) {
      const stored = store(setting, world, device)
      stored.next[machineAt(device)] = 0
      emit(
        'fault',
        `${device}: crashes and restarts; the ${write.row} row is there`,
        stored.next,
        stored.violation,
      )
    }
  }
  if (!scenario.faults || at(world, machineAt(device)) === 0) return
  const next = [...world]
  next[machineAt(device)] = 0
  next[writeAt(device)] = 0
  emit('fault', `${device}: crashes and restarts`, next, null)
}

function joinerSteps(setting: Setting, world: number[], device: string, emit: Emit): void {
  const { table, scenario } = setting
  const places = placesOf(device)
  const id = at(world, places.machine)
  const run = table.joiner(id)
  if (run === null) {
    const left = at(world, places.runsLeft)
    if (left === 0 || at(world, places.write) !== 0) return
    const next = [...world]
    next[places.runsLeft] = left - 1
    next[places.machine] = startRun(table, scenario, device, scenario.joinsAgain - left + 1)
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

function networkSteps(setting: Setting, world: number[], joiner: string, emit: Emit): void {
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
  joiner: string,
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

function startRun(table: MachineTable, scenario: Scenario, device: string, run: number): number {
  const state = startJoiner(scenario.joinTimeoutMs)
  return table.idOfJoiner({ state, now: 0, asking: null, device, repeating: null, run })
}
