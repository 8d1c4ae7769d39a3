import type { UsableInterface } from '../../interfaces.ts'
import type { Clock } from '../../../api.ts'
import { Channel } from './mdns-channel.ts'
import { Link } from './mdns-link.ts'
import type { HeardPeer, KnownPeer, Packet } from './mdns-packets.ts'

/** Place with an mDNS conversation of its own: one interface, one IP family. */
export interface Place {
  network: UsableInterface
  family: 'ipv4' | 'ipv6'
}

/** Conversation at one place, and its socket. */
export interface Station {
  /** Current state of the interface: its addresses may change while the station stands. */
  network: UsableInterface
  readonly link: Link
  readonly channel: Channel
}

export interface StationOptions extends Place {
  port: number
  ownName: string
  clock: Clock
  random: () => number
  announcement: (network: UsableInterface) => Packet | undefined
  known: () => KnownPeer[]
  onPeer: (peer: HeardPeer, network: UsableInterface) => void
  onState: () => void
}

export function createStation(options: StationOptions): Station {
  const { network, family, port, ownName, clock, random, announcement, known, onPeer, onState } = options
  let failed = false
  const link = new Link({
    ownName,
    clock,
    random,
    send: (packet) => channel.send(packet),
    announcement: () => announcement(station.network),
    known,
    onPeer: (peer) => onPeer(peer, station.network),
    onOwnPacket: () => channel.cameBack(),
  })
  const channel = new Channel({
    interface: network,
    family,
    port,
    clock,
    onPacket: (packet) => link.receive(packet),
    onState: (state) => {
      // Announcements and queries sent during the failure reached nobody.
      if (state.state === 'ready' && failed) link.start()
      failed = state.state === 'unavailable'
      onState()
    },
  })
  const station: Station = { network, link, channel }
  return station
}

/** Places of an interface, by keys that change when the address or zone through which it multicasts does. */
export function placesOf(network: UsableInterface): [string, Place][] {
  const { name, ipv4, ipv6, zone } = network
  const places: [string, Place][] = []
  if (ipv4[0] !== undefined) places.push([`${name} ${ipv4[0]}`, { network, family: 'ipv4' }])
  if (ipv6[0] !== undefined) places.push([`${name} ipv6 ${zone}`, { network, family: 'ipv6' }])
  return places
}
