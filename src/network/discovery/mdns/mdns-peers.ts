import { isOwnAddress, maximumAddressesPerPeer } from './mdns-addresses.ts'
import type { HeardMarks } from './mdns-marks.ts'
import { serviceName } from './mdns-packets.ts'
import type { KnownPeer } from './mdns-packets.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'

/** Peer that is, or was a moment ago, on the local network, as one sender of packets has it. */
export interface Sighting {
  peerId: PeerId
  /** TCP multiaddrs, each ending in /p2p/PEERID; at most 16. */
  addresses: readonly string[]
  /** Name of the network interface it was heard on. */
  interface: string
  /** IP address from which the packet came, with its zone. */
  sender: string
  /** Marks that the packet bears; null when there are none. */
  marks: HeardMarks | null
}

interface Entry extends Sighting {
  key: string
  name: string
  lifetimeMs: number
  expiresAtMs: number
}

/**
 * Peers heard, by interface and sender, until their records expire. Anybody may say anything in anybody's name, so what one sender
 * says never takes the place of what another said. Bounded: the sender with the most entries loses its oldest.
 */
export class PeerTable {
  /** Entries in the order in which they were heard, oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #bySender = new Map<string, Set<Entry>>()
  readonly #byPeer = new Map<PeerId, Set<Entry>>()
  readonly #onLost: (peerId: PeerId) => void
  readonly #capacity: number
  #turn = 0

  constructor(onLost: (peerId: PeerId) => void, capacity = 1_000) {
    this.#onLost = onLost
    this.#capacity = capacity
  }

  /**
   * Records a sighting, one entry per interface, sender and peer: a restarted peer has another name, and its old addresses are
   * worth nothing.
   */
  heard(name: string, sighting: Sighting, ttlSeconds: number, nowMs: number): void {
    const lifetimeMs = Math.min(ttlSeconds, longestLifetimeSeconds) * 1_000
    const key = `${sighting.interface} ${sighting.sender} ${sighting.peerId}`
    const known = this.#entries.get(key)
    if (known !== undefined) this.#take(known) // moves it to the end of the order
    this.#put({ ...sighting, key, name, lifetimeMs, expiresAtMs: nowMs + lifetimeMs })
    if (this.#entries.size > this.#capacity) this.#makeRoom()
  }

  /** Takes a sender's word that a peer leaves, as far as the sender itself has spoken of it. */
  goodbye(interfaceName: string, sender: string, name: string): void {
    for (const entry of this.#bySender.get(sender) ?? []) {
      if (entry.interface === interfaceName && entry.name === name) this.#remove(entry)
    }
  }

  forgetInterface(interfaceName: string): void {
    for (const entry of this.#entries.values()) if (entry.interface === interfaceName) this.#remove(entry)
  }

  expire(nowMs: number): void {
    for (const entry of this.#entries.values()) if (entry.expiresAtMs <= nowMs) this.#remove(entry)
  }

  nextExpiryAtMs(): number {
    let next = Infinity
    for (const { expiresAtMs } of this.#entries.values()) next = Math.min(next, expiresAtMs)
    return next
  }

  /** Peers that a query need not ask again: more than half of the record's lifetime is left (RFC 6762, 7.1). Freshest first. */
  known(interfaceName: string, nowMs: number): KnownPeer[] {
    const known = new Map<string, KnownPeer>()
    for (const { interface: heardOn, name, lifetimeMs, expiresAtMs } of this.#entries.values()) {
      const leftMs = expiresAtMs - nowMs
      const lasting = name.endsWith(`.${serviceName}`) // other names change with every answer
      if (!lasting || heardOn !== interfaceName || leftMs <= lifetimeMs / 2) continue
      known.delete(name) // moves it to the end of the order
      known.set(name, { name, ttlSeconds: Math.floor(leftMs / 1_000) })
    }
    return [...known.values()].toReversed()
  }

  sightings(): Sighting[] {
    return [...this.#entries.values()]
  }

  /**
   * Addresses of a peer, at most 16: first those that a packet came from, since nobody can say them for another without having
   * them; then all others. Each sender has its turn, and another one is the first each time, so that none crowds out another.
   */
  addressesOf(peerId: PeerId): string[] {
    const entries = [...(this.#byPeer.get(peerId) ?? [])]
    const first = entries.length === 0 ? 0 : this.#turn++ % entries.length
    const inTurn = [...entries.slice(first), ...entries.slice(0, first)]
    const own = inTurn.map(({ addresses, sender }) => addresses.filter((each) => isOwnAddress(each, sender)))
    const all = new Set([...byTurns(own), ...byTurns(inTurn.map(({ addresses }) => addresses))])
    return [...all].slice(0, maximumAddressesPerPeer)
  }

  clear(): void {
    this.#entries.clear()
    this.#bySender.clear()
    this.#byPeer.clear()
  }

  #makeRoom(): void {
    let fullest: Set<Entry> | undefined
    for (const entries of this.#bySender.values()) if (entries.size > (fullest?.size ?? 1)) fullest = entries
    // Where every sender has one entry, the oldest of all goes.
    const [oldest] = fullest ?? this.#entries.values()
    if (oldest !== undefined) this.#remove(oldest)
  }

  #put(entry: Entry): void {
    this.#entries.set(entry.key, entry)
    addTo(this.#bySender, entry.sender, entry)
    addTo(this.#byPeer, entry.peerId, entry)
  }

  #take(entry: Entry): void {
    this.#entries.delete(entry.key)
    removeFrom(this.#bySender, entry.sender, entry)
    removeFrom(this.#byPeer, entry.peerId, entry)
  }

  #remove(entry: Entry): void {
    this.#take(entry)
    if (!this.#byPeer.has(entry.peerId)) this.#onLost(entry.peerId)
  }
}

/** Longest lifetime accepted from a stranger: 75 minutes, as RFC 6762, 10 has it for records other than host addresses. */
const longestLifetimeSeconds = 4_500

/** Returns the first of each list, then the second of each, and so on. */
function byTurns(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length))
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat()
}

function addTo<Key>(sets: Map<Key, Set<Entry>>, key: Key, entry: Entry): void {
  const entries = sets.get(key)
  if (entries === undefined) sets.set(key, new Set([entry]))
  else entries.add(entry)
}

function removeFrom<Key>(sets: Map<Key, Set<Entry>>, key: Key, entry: Entry): void {
  const entries = sets.get(key)
  entries?.delete(entry)
  if (entries?.size === 0) sets.delete(key)
}
