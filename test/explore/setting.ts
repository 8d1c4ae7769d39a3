import type { Flight } from './arrival.ts'
import type { PairMemo } from './interner.ts'
import { initiatorName, type InitiatorRun, type JoinerRun, type MachineTable } from './machines.ts'
import {
  at,
  machineAt,
  placesOf,
  truthAt,
  type Scenario,
  type Tables,
  type Truth,
  type World,
} from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** What a step needs to know besides the world itself. */
export interface Setting {
  scenario: Scenario
  table: MachineTable
  tables: Tables
  /** The event that a flight, by its number, is to whoever it reaches. */
  arrivals: PairMemo<{ id: number } | null>
}

/** Null when no machine runs. */
export function stateOf(
  { table }: Setting,
  world: World,
  device: PeerId,
): InitiatorRun['state'] | JoinerRun['state'] | null {
  const id = at(world, machineAt(device))
  return (device === initiatorName ? table.initiator(id) : table.joiner(id))?.state ?? null
}

export function truthOf({ tables }: Setting, world: World): Truth {
  return tables.truths.valueOf(at(world, truthAt))
}

export function setTruth(setting: Setting, next: number[], change: Partial<Truth>): void {
  next[truthAt] = setting.tables.truths.idOf({ ...truthOf(setting, next), ...change })
}

/** Puts a message under way, if the network has room for it. */
export function launch({ tables }: Setting, next: number[], joiner: PeerId, flight: Flight): void {
  const place = placesOf(joiner).flights
  next[place] = tables.with.get(at(next, place), tables.flights.idOf(flight))
}
