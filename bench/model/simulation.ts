import { createHash } from 'node:crypto'
import type { DhtClient } from '../../src/network/dht/dht-client.ts'
import { StoreQuota, type Writer } from '../../src/network/dht/store-quota.ts'
import type { FollowedPeer } from '../../src/network/discovery/peer-presence.ts'
import { PresenceRecords } from '../../src/network/discovery/presence-records.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { turns, virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { recordParts } from '../../test/network/discovery/record-parts.ts'
import { asPeer } from '../../test/peers.ts'

export interface SimulationOptions {
  persons: number
  devicesPerPerson: number
  /** Time for which the node keeps a record. */
  recordLifetimeMs: number
  /** Hours that are counted, after those in which the store fills. */
  hours: number
  /** Returns numbers in [0, 1). */
  random: () => number
}

export interface Simulated {
  putsPerDay: number
  getsPerDay: number
  records: number
  /** Share of the puts that the node's quota refused. */
  refusedShare: number
  /** Share of the epochs in which a device was on. */
  epochsOnShare: number
}

const hourMs = 3_600_000
/** Hours in which one record is written again and again. */
const writtenHours = 6
/** Each device is on for half of the day, beginning whenever it likes. */
const onHours = 12

/**
 * Devices whose code for presence records is the real one, on a clock that is advanced, and one node, of which the quota is real and
 * the DHT is not: it counts. Devices of one person that are on are connected.
 */
export async function simulatePresence(options: SimulationOptions): Promise<Simulated> {
  const { persons, devicesPerPerson, recordLifetimeMs, hours, random } = options
  const fillHours = writtenHours + recordLifetimeMs / hourMs
  const clock = virtualClock()
  const node = new CountingNode(new StoreQuota(clock, { lifetimeMs: recordLifetimeMs }))
  const all = Array.from({ length: persons }, (_, person) =>
    household(person, devicesPerPerson, { clock, node }),
  ).flat()
  const beginsAt = new Map(all.map((device) => [device, Math.floor(random() * 24)]))
  for (let hour = 0; hour < fillHours + hours; hour++) {
    if (hour === fillHours) node.forgetCounts()
    for (const device of all) {
      const isOn = (hour + (beginsAt.get(device) ?? 0)) % 24 < onHours
      if (isOn !== device.isOn) await device.turn(isOn)
    }
    await clock.pass(hourMs)
  }
  for (const device of all) if (device.isOn) await device.turn(false)
  const days = hours / 24
  return {
    putsPerDay: node.puts / days,
    getsPerDay: node.gets / days,
    records: node.recordsSeen / Math.max(1, node.puts),
    refusedShare: node.refused / Math.max(1, node.puts),
    epochsOnShare: onEpochsShare([...beginsAt.values()]),
  }
}

/** Epochs are of six hours, and the virtual clock begins 4.2 hours into one: whole hours are near enough. */
function onEpochsShare(begins: readonly number[]): number {
  const touched = begins.map((begin) => {
    const epochs = new Set<number>()
    for (let hour = 0; hour < 24; hour++)
      if ((hour + begin) % 24 < onHours) epochs.add(Math.floor((hour + 4.2) / 6) % 4)
    return epochs.size / 4
  })
  return touched.reduce((sum, each) => sum + each, 0) / touched.length
}

/** Node as far as its counts go. */
class CountingNode {
  puts = 0
  gets = 0
  refused = 0
  /** Records, added up at every put. */
  recordsSeen = 0
  readonly #quota: StoreQuota
  readonly #newest = new Map<string, Uint8Array>()

  constructor(quota: StoreQuota) {
    this.#quota = quota
  }

  forgetCounts(): void {
    this.puts = this.gets = this.refused = this.recordsSeen = 0
  }

  put(record: Uint8Array, key: string, writer: Writer): boolean {
    this.puts++
    for (const expired of this.#quota.expire()) this.#newest.delete(expired)
    this.recordsSeen += this.#quota.size
    try {
      for (const dropped of this.#quota.admit(key, writer)) this.#newest.delete(dropped)
    } catch {
      this.refused++
      return false
    }
    this.#newest.set(key, record)
    return true
  }

  get(key: string): Uint8Array | undefined {
    this.gets++
    return this.#newest.get(key)
  }
}

/** The node as one device reaches it. */
class CountingClient implements DhtClient {
  readonly nodes = 1
  readonly #node: CountingNode
  readonly #writer: Writer

  constructor(node: CountingNode, writer: Writer) {
    this.#node = node
    this.#writer = writer
  }

  async publish(record: Uint8Array, routingKey: Uint8Array): Promise<number> {
    return this.#node.put(record, nameOf(routingKey), this.#writer) ? 1 : 0
  }

  async *lookup(routingKey: Uint8Array): AsyncGenerator<Uint8Array> {
    const found = this.#node.get(nameOf(routingKey))
    if (found !== undefined) yield found
  }

  onNode(): () => void {
    return () => {}
  }
}

interface SimulatedDevice {
  isOn: boolean
  turn(isOn: boolean): Promise<void>
}

function household(
  person: number,
  count: number,
  parts: { clock: VirtualClock; node: CountingNode },
): SimulatedDevice[] {
  const ids = Array.from({ length: count }, (_, number) =>
    asPeer(`12D3KooW${'ABCDEFGHJKLMNP'[number]}${person + 1}`),
  )
  const on = new Set<PeerId>()
  const devices = ids.map((id) => new PresenceOfDevice(id, ids, { ...parts, on, address: String(person) }))
  return devices.map((device) => ({
    get isOn() {
      return on.has(device.id)
    },
    async turn(isOn) {
      if (isOn) on.add(device.id)
      else on.delete(device.id)
      await device.turn(isOn)
      for (const other of devices) other.changed(device.id)
    },
  }))
}

class PresenceOfDevice {
  readonly id: PeerId
  readonly #peers: Map<PeerId, FollowedPeer>
  readonly #start: () => PresenceRecords
  #presence: PresenceRecords | null = null

  constructor(
    id: PeerId,
    household: readonly PeerId[],
    {
      clock,
      node,
      on,
      address,
    }: { clock: VirtualClock; node: CountingNode; on: Set<PeerId>; address: string },
  ) {
    this.id = id
    const others = household.filter((other) => other !== id)
    this.#peers = new Map(others.map((other) => [other, followed(id, other, on)]))
    const records = { ...recordParts(id, { clock }), client: new CountingClient(node, { peer: id, address }) }
    this.#start = () =>
      new PresenceRecords({ records, peers: this.#peers, onEpoch: () => {}, keys: fromPairing })
  }

  async turn(isOn: boolean): Promise<void> {
    await this.#presence?.stop()
    this.#presence = isOn ? this.#start() : null
    this.#presence?.start()
    await turns()
  }

  /** Another one has come or gone. */
  changed(other: PeerId): void {
    if (this.#presence !== null) this.#peers.get(other)?.presence?.look()
  }
}

function followed(id: PeerId, other: PeerId, on: ReadonlySet<PeerId>): FollowedPeer {
  return {
    id: other,
    pairKey: createHash('sha256').update([id, other].toSorted().join()).digest(),
    get isWellConnected() {
      return on.has(other)
    },
    presence: null,
    sighted: () => {},
    refused: () => {},
  }
}

/** Keys as of devices that have not told each other others yet. */
const fromPairing = { originOf: () => 'pairing' as const, writerKeys: () => null, readerKeys: () => null }

function nameOf(routingKey: Uint8Array): string {
  return Buffer.from(routingKey).toString('hex')
}
