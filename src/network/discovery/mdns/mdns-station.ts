import type { UsableInterface } from '../../interfaces.ts'
import type { Clock } from '../../../api.ts'
import { Channel, type ChannelListener, type ChannelState } from './mdns-channel.ts'
import { Link, type LinkOwner } from './mdns-link.ts'
import type { DecodedPacket, HeardPeer, KnownPeer, Packet } from './mdns-packets.ts'

/** Place with an mDNS conversation of its own: one interface, one IP family. */
export interface Place {
  network: UsableInterface
  family: 'ipv4' | 'ipv6'
}

/** What is the same at all stations of a host. */
export interface StationOwner {
  /** Returns our records under this name, for this interface; undefined while there is no address to announce. */
  announcement(name: string, network: UsableInterface): Packet | undefined
  /** Peers on the interface whose answers need not be heard again. */
  known(interfaceName: string): KnownPeer[]
  /** Takes what a packet of this sender, heard on this interface, says of a peer. */
  peerHeard(peer: HeardPeer, sender: string, network: UsableInterface): void
  stationChanged(interfaceName: string): void
}

export interface StationOptions extends Place {
  port: number
  ownName: string
  clock: Clock
  random: () => number
}

/** Conversation at one place, and its socket. */
export class Station implements LinkOwner, ChannelListener {
  /** Current state of the interface: its addresses may change while the station stands. */
  network: UsableInterface
  readonly link: Link
  readonly channel: Channel
  readonly #owner: StationOwner
  readonly #ownName: string
  #failed = false

  constructor(owner: StationOwner, { network, family, port, ownName, clock, random }: StationOptions) {
    this.#owner = owner
    this.#ownName = ownName
    this.network = network
    this.link = new Link(this, { ownName, clock, random })
    this.channel = new Channel(this, { interface: network, family, port, clock })
  }

  send(packet: Packet): void {
    this.channel.send(packet)
  }

  announcement(): Packet | undefined {
    return this.#owner.announcement(this.#ownName, this.network)
  }

  known(): KnownPeer[] {
    return this.#owner.known(this.network.name)
  }

  peerHeard(peer: HeardPeer, sender: string): void {
    this.#owner.peerHeard(peer, sender, this.network)
  }

  ownPacketHeard(): void {
    this.channel.cameBack()
  }

  packetHeard(packet: DecodedPacket, sender: string): void {
    this.link.receive(packet, sender)
  }

  channelChanged(state: ChannelState): void {
    // Announcements and queries sent during the failure reached nobody.
    if (state.state === 'ready' && this.#failed) this.link.start()
    this.#failed = state.state === 'unavailable'
    this.#owner.stationChanged(this.network.name)
  }
}

/** Places of an interface, by keys that change when the address or zone through which it multicasts does. */
export function placesOf(network: UsableInterface): [string, Place][] {
  const { name, ipv4, ipv6, zone } = network
  const places: [string, Place][] = []
  if (ipv4[0] !== undefined) places.push([`${name} ${ipv4[0]}`, { network, family: 'ipv4' }])
  if (ipv6[0] !== undefined) places.push([`${name} ipv6 ${zone}`, { network, family: 'ipv6' }])
  return places
}
