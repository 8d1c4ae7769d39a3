import { addAbortListener } from 'node:events'
import type { Log } from '../../../api.ts'
import type { Multiaddr } from '@multiformats/multiaddr'
import { onLink, usableInterfaces, watchInterfaces } from '../../interfaces.ts'
import type { ListInterfaces, UsableInterface } from '../../interfaces.ts'
import { systemClock } from '../../../clock.ts'
import type { Clock } from '../../../api.ts'
import { announcedAddresses, heardAddresses, isUsable } from './mdns-addresses.ts'
import { PeerExpiry } from './mdns-expiry.ts'
import { OwnMarks, readMarks } from './mdns-marks.ts'
import { encodeAnnouncement, newInstanceName } from './mdns-packets.ts'
import type { HeardPeer, KnownPeer, Packet } from './mdns-packets.ts'
import { PeerTable } from './mdns-peers.ts'
import type { Sighting } from './mdns-peers.ts'
import { placesOf, Station } from './mdns-station.ts'
import type { Place, StationOwner } from './mdns-station.ts'
import { ToldStatuses, type MdnsStatus } from './mdns-status.ts'
import type { MarkedPairing } from '../../../pairing/announcement-mark.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'

export type { Sighting } from './mdns-peers.ts'
export type { MdnsStatus } from './mdns-status.ts'

/** Whom multicast DNS tells what it hears. */
export interface MdnsListener {
  /** Takes a sighting of a peer: the first, and each time that it announces itself or answers anybody. */
  sighted(sighting: Sighting): void
  /** Takes the news that a peer said goodbye on the last interface it was heard on, or was not heard for its records' lifetime. */
  lost(peerId: PeerId): void
  /** Takes the news that this address announces our peer id under a name that is none of ours. */
  ownPeerAnnounced(address: string): void
  statusChanged(status: MdnsStatus): void
}

/** Host to announce. */
export interface AnnouncedHost {
  readonly peerId: PeerId
  /**
   * Listen addresses, with the real port: `/ip4/0.0.0.0` and `/ip6/::` stand for all addresses of each interface, link-local ones
   * included.
   */
  listening(): Multiaddr[]
}

export interface MdnsOptions {
  host: AnnouncedHost
  /** Names of the interfaces to use. Default: every usable one; loopback only when there is no other. */
  interfaces?: string[] | undefined
  log?: Log | undefined
  /** UDP port. @default 5353 */
  port?: number | undefined
  /** Interval of looks for changed interfaces. @default 3_000 */
  scanIntervalMs?: number | undefined
  /** Clock, for tests. */
  clock?: Clock | undefined
  random?: (() => number) | undefined
  list?: ListInterfaces | undefined
}

/**
 * Finds libp2p peers on the local networks, and lets them find us: libp2p's mDNS
 * (https://github.com/libp2p/specs/blob/master/discovery/mdns.md) over RFC 6762, on every interface by itself. It
 * only reports; it never dials.
 */
export class MulticastDns implements StationOwner {
  readonly #listener: MdnsListener
  readonly #options: MdnsOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #stations = new Map<string, Station>()
  readonly #peers: PeerTable
  readonly #expiry: PeerExpiry
  readonly #told = new ToldStatuses()
  readonly #marks: OwnMarks
  #ownName = ''
  #interfaces: UsableInterface[] = []
  #unwatch: (() => void) | undefined

  constructor(listener: MdnsListener, options: MdnsOptions) {
    const { clock = systemClock, log = () => {} } = options
    this.#listener = listener
    this.#options = options
    this.#clock = clock
    this.#log = log
    this.#marks = new OwnMarks(options.host.peerId)
    this.#peers = new PeerTable((lost) => {
      log('debug', 'mdns.lost', { peerId: lost })
      listener.lost(lost)
    })
    this.#expiry = new PeerExpiry(this.#peers, clock)
  }

  /** Resolves when the sockets are open and the first packets are under way. Failures go to the listener. */
  async start(): Promise<void> {
    if (this.#unwatch !== undefined) return
    this.#ownName = newInstanceName()
    const { interfaces: names, scanIntervalMs: intervalMs, list } = this.#options
    this.#unwatch = watchInterfaces((changed) => void this.#rescan(changed), { names, intervalMs, list })
    await this.#rescan(usableInterfaces({ names }, list))
  }

  /** Says goodbye and closes everything. */
  async stop(): Promise<void> {
    if (this.#unwatch === undefined) return
    this.#unwatch()
    this.#unwatch = undefined
    this.#expiry.stop()
    await Promise.all([...this.#stations.keys()].map((key) => this.#remove(key, { goodbye: true })))
    this.#interfaces = []
    this.#peers.clear()
    this.#told.clear()
  }

  /** Multicasts our records now (at most three times in a row, then once a second), such as when an invitation was opened. */
  announce(): void {
    for (const { link } of this.#stations.values()) link.announce()
  }

  /** Asks everybody now, known peers too, and looks at the interfaces again: a join starts, or the machine woke up. */
  refresh(): void {
    if (this.#unwatch === undefined) return
    for (const { link } of this.#stations.values()) link.refresh()
    const { interfaces: names, list } = this.#options
    void this.#rescan(usableInterfaces({ names }, list))
  }

  /** Marks this host's announcements for the other device of the pairing until the signal aborts, and announces at once. */
  mark(pairing: MarkedPairing, signal: AbortSignal): void {
    if (signal.aborted) return
    this.#marks.add(pairing)
    addAbortListener(signal, () => this.#marks.delete(pairing))
    this.announce()
  }

  /** Peers known now, as each sender has them. */
  peers(): Sighting[] {
    return this.#peers.sightings()
  }

  /** Addresses of a peer as all who speak of it have them, by turns; at most 16. */
  addressesOf(peer: PeerId): string[] {
    return this.#peers.addressesOf(peer)
  }

  announcement(name: string, network: UsableInterface): Packet | undefined {
    const { host } = this.#options
    const announced = announcedAddresses(host.listening(), network, this.#interfaces, host.peerId)
    return encodeAnnouncement(name, announced, this.#marks)
  }

  known(interfaceName: string): KnownPeer[] {
    return this.#peers.known(interfaceName, this.#clock.monotonic())
  }

  peerHeard({ name, ttlSeconds, texts }: HeardPeer, sender: string, network: UsableInterface): void {
    if (ttlSeconds === 0) {
      this.#peers.goodbye(network.name, sender, name)
      return
    }
    const claimed = heardAddresses(texts, network, onLink(network))
    if (claimed === undefined) return
    if (claimed.peerId === this.#options.host.peerId) {
      if (name !== this.#ownName) this.#listener.ownPeerAnnounced(sender)
      return
    }
    const { peerId, said } = claimed
    const marks = readMarks(texts, { peer: peerId, addresses: said })
    const sighting: Sighting = { ...claimed, interface: network.name, sender, marks }
    const nowMs = this.#clock.monotonic()
    this.#peers.heard(name, sighting, ttlSeconds, nowMs)
    this.#expiry.arm(nowMs + ttlSeconds * 1_000)
    this.#listener.sighted(sighting)
  }

  /** Tells the state of an interface anew: it works when one of its stations does. */
  stationChanged(interfaceName: string): void {
    const states = [...this.#stations.values()]
      .filter(({ network }) => network.name === interfaceName)
      .map(({ channel }) => channel.state)
    if (states.some(({ state }) => state === 'ready'))
      this.#report({ interface: interfaceName, state: 'ready' })
    const failures = states.filter((state) => state.state === 'unavailable')
    const [failure] = failures
    if (failure !== undefined && failures.length === states.length)
      this.#report({ interface: interfaceName, ...failure })
  }

  /** Brings the stations in line with the interfaces there are. */
  async #rescan(found: UsableInterface[]): Promise<void> {
    const before = this.#interfaces
    this.#interfaces = found
    // Other programs keep the first packet of a name while its records live: better addresses need another name.
    const isRenamed =
      !before.some((network) => this.#canBeDialled(network)) &&
      found.some((network) => this.#canBeDialled(network)) &&
      before.length > 0
    if (isRenamed) this.#ownName = newInstanceName()
    const wanted = new Map<string, Place>(
      found.flatMap(placesOf).map(([place, parts]) => [`${place} ${this.#ownName}`, parts]),
    )
    const changes: Promise<void>[] = []
    const closing = [...this.#stations.keys()].filter((key) => !wanted.has(key))
    for (const key of closing) changes.push(this.#remove(key, { goodbye: isRenamed }))
    const isOther = JSON.stringify(before) !== JSON.stringify(found)
    for (const [key, place] of wanted) {
      const station = this.#stations.get(key)
      if (station === undefined) {
        changes.push(this.#add(key, place))
        continue
      }
      const { network } = station
      station.network = place.network
      const isChanged = JSON.stringify(network) !== JSON.stringify(place.network)
      if (isChanged || (isOther && !this.#canBeDialled(network))) station.link.announce()
    }
    const present = new Set([...this.#stations.values()].map(({ network }) => network.name))
    for (const name of this.#told.interfaces())
      if (!present.has(name)) this.#report({ interface: name, state: 'gone' })
    await Promise.all(changes)
  }

  /** Whether the interface has an address that every program can dial. */
  #canBeDialled(network: UsableInterface): boolean {
    const { host } = this.#options
    return announcedAddresses(host.listening(), network, [], host.peerId).some(isUsable)
  }

  async #add(key: string, place: Place): Promise<void> {
    const { port = 5353, random = Math.random } = this.#options
    const station = new Station(this, {
      ...place,
      port,
      ownName: this.#ownName,
      clock: this.#clock,
      random,
    })
    this.#stations.set(key, station)
    await station.channel.open()
    if (this.#stations.get(key) === station) station.link.start()
  }

  async #remove(key: string, { goodbye }: { goodbye: boolean }): Promise<void> {
    const station = this.#stations.get(key)
    if (station === undefined) return
    station.link.stop({ goodbye })
    this.#stations.delete(key)
    const { name } = station.network
    const others = [...this.#stations.values()].some(({ network }) => network.name === name)
    if (!others && !goodbye) this.#peers.forgetInterface(name)
    await station.channel.close()
  }

  #report(status: MdnsStatus): void {
    if (!this.#told.isNews(status)) return
    this.#log(status.state === 'unavailable' ? 'warn' : 'info', 'mdns.status', { ...status })
    this.#listener.statusChanged(status)
  }
}
