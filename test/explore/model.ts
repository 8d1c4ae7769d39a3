import { startInitiator } from '../../src/pairing/initiator-state.ts'
import { invitationLifetimeMs } from '../../src/pairing/limits.ts'
import { arrivalOf } from './arrival.ts'
import { diskSteps, personSteps, timeSteps } from './device-steps.ts'
import type { Emit } from './emit.ts'
import { healings } from './healing.ts'
import { PairMemo } from './interner.ts'
import { initiatorName, joinerNames, MachineTable } from './machines.ts'
import { joinerSteps, networkSteps, startJoin } from './network-steps.ts'
import { NormalForm } from './normal-form.ts'
import { Outsider } from './outsider.ts'
import type { Setting } from './setting.ts'
import { Theft } from './theft.ts'
import { devicesOf, initiatorAt, placesOf, Tables, type Scenario, type Subject } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** A subject in a scenario. */
export interface Model extends Setting {
  subject: Subject
  devices: readonly PeerId[]
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

export function initialWorld({ scenario, table }: Model): number[] {
  const world = Array.from({ length: 18 }, () => 0)
  if (scenario.initiator) {
    const state = startInitiator(invitationLifetimeMs)
    world[initiatorAt.machine] = table.idOfInitiator({ state, now: 0, asking: null })
  }
  for (const device of joinerNames.slice(0, scenario.joiners)) {
    world[placesOf(device).machine] = startJoin(table, scenario, device, 0)
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
