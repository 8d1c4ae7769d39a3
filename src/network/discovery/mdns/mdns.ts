import { randomBytes } from 'node:crypto'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Log } from '../../../api.ts'
import { onLink, usableInterfaces, watchInterfaces } from '../../interfaces.ts'
import type { ListInterfaces, UsableInterface } from '../../interfaces.ts'
import { systemClock } from '../../../clock.ts'
import type { Clock } from '../../../api.ts'
import { announcedAddresses, heardAddresses, isUsable } from './mdns-addresses.ts'
import { encodeAnnouncement, serviceName } from './mdns-packets.ts'
import type { HeardPeer } from './mdns-packets.ts'
import { PeerTable } from './mdns-peers.ts'
import type { Sighting } from './mdns-peers.ts'
import { createStation, placesOf } from './mdns-station.ts'
import type { Place, Station } from './mdns-station.ts'
import type { PeerId } from '../../../pairing/peer-id.ts'

export type { Sighting } from './mdns-peers.ts'

/** State of multicast on one interface; either IP family working is enough. */
export type MdnsStatus =
  | { interface: string; state: 'ready' }
  /** `blocked`: nothing comes back of what is sent. `error`: the system refuses. `detail` is a sentence part for people. */
  | { interface: string; state: 'unavailable'; reason: 'blocked' | 'error'; detail: string }
  /** The interface went away. */
  | { interface: string; state: 'gone' }

export interface MdnsOptions {
  /** Peer id of this host. */
  peerId: PeerId
  /**
   * Listen addresses of the host, with the real port, wildcards unresolved: `/ip4/0.0.0.0` and `/ip6/::` stand for all addresses
   * of each interface, link-local ones included. Called at every announcement.
   */
  addresses: () => Multiaddr[]
  /** Names of the interfaces to use. Default: every usable one; loopback only when there is no other. */
  interfaces?: string[] | undefined
  /** Called when a peer was heard: the first time, and each time it announces itself or answers anybody. */
  onSighting: (sighting: Sighting) => void
  /** Called when a peer said goodbye on the last interface it was heard on, or was not heard for its records' lifetime. */
  onLost: (peerId: PeerId) => void
  onStatus: (status: MdnsStatus) => void
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

export interface Mdns {
  /** Resolves when the sockets are open and the first packets are under way. Failures go to onStatus. */
  start(): Promise<void>
  /** Says goodbye and closes everything. */
  stop(): Promise<void>
  /** Multicasts our records now (at most three times in a row, then once a second), such as when an invitation was opened. */
  announce(): void
  /** Asks everybody now, known peers too, and looks at the interfaces again: a join starts, or the machine woke up. */
  refresh(): void
  /** Peers known now, once per interface. */
  peers(): Sighting[]
}

/**
 * Finds libp2p peers on the local networks, and lets them find us: libp2p's mDNS
 * (https://github.com/libp2p/specs/blob/master/discovery/mdns.md) over RFC 6762, on every interface by itself. It
 * only reports; it never dials.
 */
export function createMdns(options: MdnsOptions): Mdns {
  const { peerId, port = 5353, clock = systemClock, random = Math.random, log = () => {} } = options
  const stations = new Map<string, Station>()
  const peers = new PeerTable((lost) => {
    log('debug', 'mdns.lost', { peerId: lost })
    options.onLost(lost)
  })
  const reported = new Map<string, string>()
  let ownName = ''
  let interfaces: UsableInterface[] = []
  let unwatch: (() => void) | undefined
  let cancelExpiry: (() => void) | undefined
  let expiryAtMs = Infinity

  async function start(): Promise<void> {
    if (unwatch !== undefined) return
    ownName = newName()
    const { interfaces: names, scanIntervalMs: intervalMs, list } = options
    unwatch = watchInterfaces((changed) => void rescan(changed), { names, intervalMs, list })
    await rescan(usableInterfaces({ names }, list))
  }

  async function stop(): Promise<void> {
    if (unwatch === undefined) return
    unwatch()
    unwatch = undefined
    cancelExpiry?.()
    expiryAtMs = Infinity
    await Promise.all([...stations.keys()].map((key) => remove(key, { goodbye: true })))
    interfaces = []
    peers.clear()
    reported.clear()
  }

  /** Brings the stations in line with the interfaces there are. */
  async function rescan(found: UsableInterface[]): Promise<void> {
    const before = interfaces
    interfaces = found
    // Other programs keep the first packet of a name while its records live: better addresses need another name.
    const isRenamed = !before.some(canBeDialled) && found.some(canBeDialled) && before.length > 0
    if (isRenamed) ownName = newName()
    const wanted = new Map<string, Place>(
      found.flatMap(placesOf).map(([place, parts]) => [`${place} ${ownName}`, parts]),
    )
    const changes: Promise<void>[] = []
    const closing = [...stations.keys()].filter((key) => !wanted.has(key))
    for (const key of closing) changes.push(remove(key, { goodbye: isRenamed }))
    const isOther = JSON.stringify(before) !== JSON.stringify(found)
    for (const [key, place] of wanted) {
      const station = stations.get(key)
      if (station === undefined) {
        changes.push(add(key, place))
        continue
      }
      const { network } = station
      station.network = place.network
      const isChanged = JSON.stringify(network) !== JSON.stringify(place.network)
      if (isChanged || (isOther && !canBeDialled(network))) station.link.announce()
    }
    const present = new Set([...stations.values()].map(({ network }) => network.name))
    for (const name of reported.keys()) if (!present.has(name)) report({ interface: name, state: 'gone' })
    await Promise.all(changes)
  }

  /** Whether the interface has an address that every program can dial. */
  function canBeDialled(network: UsableInterface): boolean {
    return announcedAddresses(options.addresses(), network, [], peerId).some(isUsable)
  }

  async function add(key: string, { network, family }: Place): Promise<void> {
    const name = ownName
    const station = createStation({
      network,
      family,
      port,
      ownName: name,
      clock,
      random,
      announcement: (current) =>
        encodeAnnouncement(name, announcedAddresses(options.addresses(), current, interfaces, peerId)),
      known: () => peers.known(network.name, clock.monotonic()),
      onPeer: heard,
      onState: () => summarize(network.name),
    })
    stations.set(key, station)
    await station.channel.open()
    if (stations.get(key) === station) station.link.start()
  }

  async function remove(key: string, { goodbye }: { goodbye: boolean }): Promise<void> {
    const station = stations.get(key)
    if (station === undefined) return
    station.link.stop({ goodbye })
    stations.delete(key)
    const { name } = station.network
    const others = [...stations.values()].some(({ network }) => network.name === name)
    if (!others && !goodbye) peers.forgetInterface(name)
    await station.channel.close()
  }

  function heard({ name, ttlSeconds, texts }: HeardPeer, network: UsableInterface): void {
    if (ttlSeconds === 0) {
      peers.goodbye(network.name, name)
      return
    }
    const claimed = heardAddresses(texts, network, onLink(network))
    if (claimed === undefined || claimed.peerId === peerId) return
    const sighting: Sighting = { ...claimed, interface: network.name }
    peers.heard(name, sighting, ttlSeconds, clock.monotonic())
    armExpiry(clock.monotonic() + ttlSeconds * 1_000)
    options.onSighting(sighting)
  }

  function armExpiry(atMs: number): void {
    if (atMs >= expiryAtMs || atMs === Infinity) return
    cancelExpiry?.()
    expiryAtMs = atMs
    cancelExpiry = clock.after(atMs - clock.monotonic(), () => {
      expiryAtMs = Infinity
      peers.expire(clock.monotonic())
      armExpiry(peers.nextExpiryAtMs())
    })
  }

  function summarize(name: string): void {
    const states = [...stations.values()]
      .filter(({ network }) => network.name === name)
      .map(({ channel }) => channel.state)
    if (states.some(({ state }) => state === 'ready')) report({ interface: name, state: 'ready' })
    const failures = states.filter((state) => state.state === 'unavailable')
    const [failure] = failures
    if (failure !== undefined && failures.length === states.length) report({ interface: name, ...failure })
  }

  function report(status: MdnsStatus): void {
    const text = JSON.stringify(status)
    if (reported.get(status.interface) === text) return
    if (status.state === 'gone') reported.delete(status.interface)
    else reported.set(status.interface, text)
    log(status.state === 'unavailable' ? 'warn' : 'info', 'mdns.status', { ...status })
    options.onStatus(status)
  }

  function refresh(): void {
    if (unwatch === undefined) return
    for (const { link } of stations.values()) link.refresh()
    void rescan(usableInterfaces({ names: options.interfaces }, options.list))
  }

  return {
    start,
    stop,
    announce: () => {
      for (const { link } of stations.values()) link.announce()
    },
    refresh,
    peers: () => peers.sightings(),
  }
}

/** Returns a new random name; one for each start, so that nobody can follow a device by it. */
function newName(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  const label = Array.from(randomBytes(32), (byte) => alphabet.charAt(byte % alphabet.length)).join('')
  return `${label}.${serviceName}`
}
