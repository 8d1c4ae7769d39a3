import { PairMemo } from './interner.ts'
import { initiatorName, joinerNames } from './machines.ts'
import { at, machineAt, placesOf, rowAt, truthAt, writeAt, type Tables, type Truth } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/**
 * Takes out of a world what can make no difference any more: messages to machines that are gone, and what is only known
 * about them. Worlds that behave alike become equal, and the space several times smaller.
 */
export class NormalForm {
  readonly #tables: Tables
  readonly #truths: PairMemo<number>
  readonly #flights: PairMemo<number>

  constructor(tables: Tables) {
    this.#tables = tables
    this.#truths = new PairMemo((truth, alive) =>
      tables.truths.idOf(stillOfUse(tables.truths.valueOf(truth), alive)),
    )
    this.#flights = new PairMemo((set, gone) => this.#stillHeard(set, gone))
  }

  apply(world: number[]): void {
    world[truthAt] = this.#truths.get(at(world, truthAt), aliveIn(world))
    for (const joiner of joinerNames) {
      const { flights, machine, runsLeft } = placesOf(joiner)
      const set = at(world, flights)
      if (set === 0) continue
      const joinerGone = at(world, machine) === 0 && at(world, runsLeft) === 0 ? 1 : 0
      const initiatorGone = at(world, machineAt(initiatorName)) === 0 ? 2 : 0
      if (joinerGone + initiatorGone !== 0)
        world[flights] = this.#flights.get(set, joinerGone + initiatorGone)
    }
  }

  #stillHeard(set: number, gone: number): number {
    const { flightSets, flights } = this.#tables
    const heard = flightSets.valueOf(set).filter((id) => {
      const flight = flights.valueOf(id)
      if (flight === null) return false
      if (flight.to !== initiatorName) return (gone & 1) === 0
      // The pending row outlives the machine, and waits for this one.
      return (gone & 2) === 0 || flight.message.type === 'Confirmed'
    })
    return flightSets.idOf(heard)
  }
}

const devices = [initiatorName, ...joinerNames]
const pairs = joinerNames.flatMap((joiner) => [
  [initiatorName, joiner] as const,
  [joiner, initiatorName] as const,
])

/** One bit for each device that can still do something by itself, and one for each row. */
function aliveIn(world: readonly number[]): number {
  let bits = 0
  for (const [index, device] of devices.entries()) {
    const mayAct = at(world, machineAt(device)) !== 0 || at(world, writeAt(device)) !== 0
    const mayReturn = device !== initiatorName && at(world, placesOf(device).runsLeft) !== 0
    if (mayAct || mayReturn) bits |= 1 << index
  }
  for (const [index, [device, peer]] of pairs.entries()) {
    if (at(world, rowAt(device, peer)) !== 0) bits |= 1 << (devices.length + index)
  }
  return bits
}

function stillOfUse(truth: Truth, alive: number): Truth {
  const isAlive = (device: PeerId): boolean => (alive & (1 << devices.indexOf(device))) !== 0
  const holdsRow = (device: PeerId, peer: PeerId): boolean => {
    const index = pairs.findIndex(([a, b]) => a === device && b === peer)
    return index !== -1 && (alive & (1 << (devices.length + index))) !== 0
  }
  const initiatorAlive = isAlive(initiatorName)
  return {
    winner: initiatorAlive ? truth.winner : '',
    challenges: initiatorAlive ? truth.challenges : 0,
    misused: initiatorAlive && truth.misused,
    approved: kept(truth.approved, (device) => isAlive(asPeer(device))),
    responses: kept(truth.responses, (device) => isAlive(asPeer(device))),
    // Looked at when the other side becomes active.
    wrote: kept(truth.wrote, (key) => {
      const [device = asPeer(''), peer = asPeer('')] = key.split('>').map(asPeer)
      return isAlive(device) || isAlive(peer) || holdsRow(peer, device)
    }),
    activated: truth.activated.filter((key) => {
      const [device = asPeer(''), peer = asPeer('')] = key.split('>').map(asPeer)
      return device === initiatorName && (isAlive(device) || isAlive(peer))
    }),
  }
}

function kept<Value>(record: Record<string, Value>, isKept: (key: string) => boolean): Record<string, Value> {
  const entries = Object.entries(record).filter(([key]) => isKept(key))
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
