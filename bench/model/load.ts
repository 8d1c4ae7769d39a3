/** What devices cost the rendezvous nodes that they name. Pure: inputs.ts has the numbers, points.ts what was measured. */

export interface Population {
  devices: number
  /** Devices of one person, each paired with each. */
  devicesPerPerson: number
  /** Rendezvous nodes that these name: each of them has all of the records, and keeps a place for each device. */
  nodesPerPerson: number
  /** Share of the devices that are on at a moment. */
  onShare: number
  /** Share of the epochs of the presence keys in which a device is on at all. */
  epochsOnShare: number
  addressChangesPerDay: number
  /** Share of the pairs, both on, that have no other way than a relay. */
  relayedShare: number
  /** What an application sends over one pair, both directions together. */
  applicationBytesPerPairAndDay: number
  /** Ping and answer of a session, on the wire. */
  livenessBytes: number
}

export interface Behaviour {
  republishMs: number
  /** Pause between two lookups for a device that stays away. */
  lookupEveryMs: number
  /** Time after which the keys of a record change. */
  epochMs: number
  /** Keys under which a device is looked for. */
  epochsRead: number
  /** Pause between two signs of life of a session in which nothing is said. */
  livenessEveryMs: number
}

export interface Limits {
  records: number
  recordsPerDevice: number
  /** Time that a record stays after it was written last. */
  recordLifetimeMs: number
  reservations: number
  connections: number
  relayedBytesPerSecond: number
}

export interface Machine {
  /** Of one core: a node is one process. */
  coreShare: number
  memoryBytes: number
}

/** What one thing costs a node: processor, and bytes on the wire, both directions together. */
export interface Cost {
  cpuMs: number
  wireBytes: number
}

/** Measured at a real node. */
export interface Points {
  baseBytes: number
  recordBytes: number
  reservationBytes: number
  put: Cost
  get: Cost
  /** A device's connection and place, for a minute in which nothing is asked. */
  idleMinute: Cost
  /** A byte from one device to another; `wireBytes` counts it in and out. */
  relayedByte: Cost
}

export interface Load {
  putsPerDay: number
  getsPerDay: number
  records: number
  reservations: number
  relayedBytesPerDay: number
  cpuSecondsPerDay: number
  wireBytesPerDay: number
  memoryBytes: number
}

const dayMs = 24 * 3_600_000

/** Load of one node that so many devices name. */
export function nodeLoad(
  devices: number,
  {
    population,
    behaviour,
    limits,
    points,
  }: { population: Population; behaviour: Behaviour; limits: Limits; points: Points },
): Load {
  const others = population.devicesPerPerson - 1
  const on = devices * population.onShare
  const epochsPerDay = dayMs / behaviour.epochMs
  const putsPerDay =
    on * others * (dayMs / behaviour.republishMs + epochsPerDay + population.addressChangesPerDay)
  // For those that are away; and its own, before it writes under new keys.
  const getsPerDay =
    on * others * (1 - population.onShare) * behaviour.epochsRead * (dayMs / behaviour.lookupEveryMs) +
    on * others * epochsPerDay
  const records = devices * recordsOfDevice(population, behaviour, limits)
  const relayedPairs = ((on * others) / 2) * population.onShare * population.relayedShare
  const relayedBytesPerDay =
    (relayedPairs *
      (population.applicationBytesPerPairAndDay +
        (dayMs / behaviour.livenessEveryMs) * population.livenessBytes)) /
    population.nodesPerPerson
  const sum = (cost: keyof Cost): number =>
    putsPerDay * points.put[cost] +
    getsPerDay * points.get[cost] +
    on * (dayMs / 60_000) * points.idleMinute[cost] +
    relayedBytesPerDay * points.relayedByte[cost]
  return {
    putsPerDay,
    getsPerDay,
    records,
    reservations: on,
    relayedBytesPerDay,
    cpuSecondsPerDay: sum('cpuMs') / 1_000,
    wireBytesPerDay: sum('wireBytes'),
    memoryBytes: points.baseBytes + records * points.recordBytes + on * points.reservationBytes,
  }
}

/**
 * Records of one device that a node has at a time: those of this epoch, and of the ones whose records have not expired yet, as many as
 * one device may have.
 */
export function recordsOfDevice(
  { devicesPerPerson, epochsOnShare }: Population,
  { epochMs }: Behaviour,
  { recordLifetimeMs, recordsPerDevice }: Limits,
): number {
  const written = (devicesPerPerson - 1) * epochsOnShare * (1 + recordLifetimeMs / epochMs)
  return Math.min(written, recordsPerDevice)
}

/** Devices for which one node is enough, by each of the things that can be too little. */
export interface Capacity {
  by: string
  devices: number
}

/** The smallest first. */
export function capacities(inputs: Parameters<typeof nodeLoad>[1], machine: Machine): Capacity[] {
  const one = nodeLoad(1, inputs)
  const { limits, points } = inputs
  const perSecond = dayMs / 1_000
  return [
    { by: 'processor', devices: (machine.coreShare * perSecond) / one.cpuSecondsPerDay },
    {
      by: 'memory',
      devices: (machine.memoryBytes - points.baseBytes) / (one.memoryBytes - points.baseBytes),
    },
    { by: 'limit of records', devices: limits.records / one.records },
    { by: 'limit of places at the relay', devices: limits.reservations / one.reservations },
    { by: 'limit of connections', devices: limits.connections / one.reservations },
    {
      by: "limit of the relay's rate",
      devices: (limits.relayedBytesPerSecond * perSecond) / one.relayedBytesPerDay,
    },
  ]
    .map(({ by, devices }) => ({ by, devices: Math.floor(devices) }))
    .toSorted((one, other) => one.devices - other.devices)
}

/** Nodes that all devices need, when each has as many as it can. */
export function nodesNeeded({ devices, nodesPerPerson }: Population, perNode: number): number {
  return Math.ceil((devices * nodesPerPerson) / perNode)
}
