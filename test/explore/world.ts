import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import type { ProvisionalPair } from '../../src/pairing/provisional-pair.ts'
import type { Flight } from './arrival.ts'
import { digest } from './fake-suite.ts'
import { Interner, PairMemo } from './interner.ts'
import { initiatorName, joinerNames, outsiderName, textOf, type Machines } from './machines.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/**
 * A state of the whole world is a list of small numbers, one per place below; what each stands for is in the tables.
 * Lists are never changed once they are reached.
 */
export type World = readonly number[]

export const initiatorAt = { machine: 0, write: 1, rows: 2 } as const
export const joinerAt = [
  { machine: 5, write: 6, rows: 7, flights: 9, runsLeft: 16 },
  { machine: 10, write: 11, rows: 12, flights: 14, runsLeft: 17 },
] as const
export const truthAt = 15
export type JoinerPlaces = (typeof joinerAt)[number]

/** A durable trust row, as the database holds it. */
export interface Row {
  state: 'provisional' | 'active' | 'needs-pairing'
  key: string
  acknowledgement: Uint8Array
}

/** What a device has handed to its disk and not heard back about. */
export type Write = { row: 'provisional'; pair: ProvisionalPair } | { row: 'active'; peer: PeerId }

/** What really happened, kept beside the machines, which cannot see it. */
export interface Truth {
  /** Whose Response the initiator took for proof of the code. */
  winner: string
  /** `device>peer` to the pair key that became durable. */
  wrote: Record<string, string>
  /** `device>peer` of the trust that was ever active. */
  activated: string[]
  /** device to the peer that its person said yes to. */
  approved: Record<string, string>
  /** Challenges handed out, and Responses sent by each joiner. */
  challenges: number
  responses: Record<string, number>
  /** A holder of the code did what only an attacker does. */
  misused: boolean
}

export interface Scenario {
  name: string
  initiator: boolean
  joiners: 0 | 1 | 2
  /** Stranger: no code, reads everything, speaks under its own peer id. Forger: speaks under anybody's. Thief: has the code. */
  outsider: 'none' | 'stranger' | 'forger' | 'thief'
  /** Whether people compare the digits before they say yes. */
  peopleCompare: boolean
  /** Messages under way at once between a joiner and the initiator, each way; one more is lost. */
  inFlight: number
  /** Times that a person types the code again after the join has ended. */
  joinsAgain: number
  joinTimeoutMs: number
  /** Different openings and shares the thief comes with. */
  thiefOpenings: number
  /** A thief asks as long as fewer Challenges than this were handed out. */
  thiefRequests: number
  /** Whether devices crash, disks fail, and people say no. Messages are lost, doubled and late in any case. */
  faults: boolean
}

export class Tables {
  readonly rows = new Interner<Row | null>(null, textOf)
  readonly writes = new Interner<Write | null>(null, textOf)
  readonly truths = new Interner<Truth>(
    { winner: '', wrote: {}, activated: [], approved: {}, challenges: 0, responses: {}, misused: false },
    textOf,
  )
  readonly flights = new Interner<Flight | null>(null, textOf)
  readonly #messageIds = new WeakMap<PairingMessage, number>()
  readonly #messages = new Interner<PairingMessage>({ type: 'Waiting' }, textOf)
  /** Sorted numbers of flights. */
  readonly flightSets = new Interner<readonly number[]>([], (set) => set.join())
  readonly without = new PairMemo((set, flight) =>
    this.flightSets.idOf(this.flightSets.valueOf(set).filter((each) => each !== flight)),
  )
  /** One that is under way already is not doubled, one too many is lost. */
  readonly with: PairMemo<number>

  constructor(inFlight: number) {
    this.with = new PairMemo((set, flight) => {
      const flights = this.flightSets.valueOf(set)
      const sender = this.flights.valueOf(flight)?.from
      const together = flights.filter((each) => this.flights.valueOf(each)?.from === sender)
      if (flights.includes(flight) || together.length >= inFlight) return set
      return this.flightSets.idOf([...flights, flight].toSorted((a, b) => a - b))
    })
  }

  messageId(message: PairingMessage): number {
    let id = this.#messageIds.get(message)
    if (id === undefined) this.#messageIds.set(message, (id = this.#messages.idOf(message)))
    return id
  }
}

/** What the exploration is about: which machines, whether provisional rows end by themselves. */
export interface Subject extends Machines {
  name: string
  /** False in the variant in which devices never meet again and no row ever ends. */
  heals: boolean
}

export function keyOf(pair: ProvisionalPair): string {
  return digest(pair.pairKey)
}

/** Those that run the machines under exploration. */
export function devicesOf({ initiator, joiners }: Scenario): PeerId[] {
  return [...(initiator ? [initiatorName] : []), ...joinerNames.slice(0, joiners)]
}

/** Where a device keeps its row for a peer. */
export function rowAt(device: PeerId, peer: PeerId): number {
  if (device === initiatorName) {
    return initiatorAt.rows + (peer === outsiderName ? 2 : joinerIndex(peer))
  }
  return placesOf(device).rows + (peer === outsiderName ? 1 : 0)
}

export function placesOf(joiner: PeerId): JoinerPlaces {
  return joinerIndex(joiner) === 0 ? joinerAt[0] : joinerAt[1]
}

export function machineAt(device: PeerId): number {
  return device === initiatorName ? initiatorAt.machine : placesOf(device).machine
}

export function writeAt(device: PeerId): number {
  return device === initiatorName ? initiatorAt.write : placesOf(device).write
}

export function at(world: World, place: number): number {
  return world[place] ?? 0
}

function joinerIndex(joiner: PeerId): 0 | 1 {
  if (joiner === joinerNames[0]) return 0
  if (joiner === joinerNames[1]) return 1
  throw new Error(`${joiner} is no joiner`)
}
