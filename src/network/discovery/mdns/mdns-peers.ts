import type { Multiaddr } from '@multiformats/multiaddr'
import { serviceName } from './mdns-packets.ts'
import type { KnownPeer } from './mdns-packets.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'

/** Peer that is, or was a moment ago, on the local network. */
export interface Sighting {
  peerId: PeerId
  /** TCP addresses, each ending in /p2p/PEERID; at most 16. */
  addresses: Multiaddr[]
  /** Name of the network interface it was heard on. */
  interface: string
}

interface Entry extends Sighting {
  name: string
  lifetimeMs: number
  expiresAtMs: number
}

/** Peers heard, by interface, until their records expire. Bounded; the entry longest unheard goes first. */
export class PeerTable {
  readonly #entries = new Map<string, Entry>()
  readonly #onLost: (peerId: PeerId) => void
  readonly #capacity: number

  constructor(onLost: (peerId: PeerId) => void, capacity = 1_000) {
    this.#onLost = onLost
    this.#capacity = capacity
  }

  /**
   * Records a sighting, one entry per interface and peer: a restarted peer has another name, and its old addresses are worth
   * nothing.
   */
  heard(name: string, sighting: Sighting, ttlSeconds: number, nowMs: number): void {
    const lifetimeMs = Math.min(ttlSeconds, longestLifetimeSeconds) * 1_000
    const key = `${sighting.interface} ${sighting.peerId}`
    this.#entries.delete(key) // moves it to the end of the order
    this.#entries.set(key, { ...sighting, name, lifetimeMs, expiresAtMs: nowMs + lifetimeMs })
    if (this.#entries.size <= this.#capacity) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#remove(oldest)
  }

  goodbye(interfaceName: string, name: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.interface === interfaceName && entry.name === name) this.#remove(key)
    }
  }

  forgetInterface(interfaceName: string): void {
    for (const [key, entry] of this.#entries) if (entry.interface === interfaceName) this.#remove(key)
  }

  expire(nowMs: number): void {
    for (const [key, entry] of this.#entries) if (entry.expiresAtMs <= nowMs) this.#remove(key)
  }

  nextExpiryAtMs(): number {
    let next = Infinity
    for (const { expiresAtMs } of this.#entries.values()) next = Math.min(next, expiresAtMs)
    return next
  }

  /** Peers that a query need not ask again: more than half of the record's lifetime is left (RFC 6762, 7.1). Freshest first. */
  known(interfaceName: string, nowMs: number): KnownPeer[] {
    const known: KnownPeer[] = []
    for (const { interface: heardOn, name, lifetimeMs, expiresAtMs } of this.#entries.values()) {
      const leftMs = expiresAtMs - nowMs
      const lasting = name.endsWith(`.${serviceName}`) // other names change with every answer
      if (lasting && heardOn === interfaceName && leftMs > lifetimeMs / 2) {
        known.push({ name, ttlSeconds: Math.floor(leftMs / 1_000) })
      }
    }
    return known.toReversed()
  }

  sightings(): Sighting[] {
    return [...this.#entries.values()].map(({ peerId, addresses, interface: name }) => ({
      peerId,
      addresses,
      interface: name,
    }))
  }

  clear(): void {
    this.#entries.clear()
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#reportIfLost(entry.peerId)
  }

  #reportIfLost(peerId: PeerId): void {
    for (const entry of this.#entries.values()) if (entry.peerId === peerId) return
    this.#onLost(peerId)
  }
}

/** Longest lifetime accepted from a stranger: 75 minutes, as RFC 6762, 10 has it for records other than host addresses. */
const longestLifetimeSeconds = 4_500
