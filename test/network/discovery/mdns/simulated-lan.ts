import { createRequire } from 'node:module'
import { Link, type LinkOwner } from '../../../../src/network/discovery/mdns/mdns-link.ts'
import { encodeAnnouncement } from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import type { DecodedPacket, Packet } from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import { PeerTable } from '../../../../src/network/discovery/mdns/mdns-peers.ts'
import { randomNumbers } from '../../../../src/testing/random-numbers.ts'
import { virtualClock } from '../../../../src/testing/virtual-clock.ts'
import { asPeer } from '../../../peers.ts'

/** The very codec that multicast-dns uses. */
export const wire = createRequire(import.meta.resolve('multicast-dns'))('dns-packet') as {
  encode: (packet: Packet) => Buffer
  decode: (bytes: Uint8Array) => DecodedPacket
}

export interface SentPacket {
  atMs: number
  from: string
  bytes: number
  packet: DecodedPacket
}

/** A network on which everybody hears everybody, himself too, after a millisecond. */
export class SimulatedLan {
  readonly clock = virtualClock()
  readonly sent: SentPacket[] = []
  readonly #links = new Set<Link>()
  readonly #random: () => number

  constructor(seed = 1) {
    this.#random = randomNumbers(seed)
  }

  random(): number {
    return this.#random()
  }

  join(label: string): { link: Link; peers: PeerTable; sightings: string[]; lost: string[] } {
    const ownName = `${label}._p2p._udp.local`
    const sightings: string[] = []
    const lost: string[] = []
    const peers = new PeerTable((peerId) => lost.push(peerId))
    const { clock } = this
    const owner: LinkOwner = {
      send: (packet) => this.multicast(label, packet),
      announcement: () =>
        encodeAnnouncement(ownName, [
          {
            multiaddr: `/ip4/10.0.0.1/tcp/4001/p2p/${label}`,
            family: 'ipv4',
            host: '10.0.0.1',
            port: 4001,
          },
        ]),
      known: () => peers.known('lan', clock.monotonic()),
      peerHeard: ({ name, ttlSeconds }, sender) => {
        if (ttlSeconds === 0) {
          peers.goodbye('lan', sender, name)
          return
        }
        sightings.push(name)
        peers.heard(
          name,
          { peerId: asPeer(name), addresses: [], interface: 'lan', sender, marks: null },
          ttlSeconds,
          clock.monotonic(),
        )
      },
      ownPacketHeard: () => {},
    }
    const link = new Link(owner, { ownName, clock, random: this.#random })
    this.#links.add(link)
    return { link, peers, sightings, lost }
  }

  /** Two that start at the same moment, some time ago. */
  pair(sinceMs: number): { alice: ReturnType<SimulatedLan['join']>; bob: ReturnType<SimulatedLan['join']> } {
    const [alice, bob] = [this.join('alice'), this.join('bob')]
    alice.link.start()
    bob.link.start()
    this.clock.advance(sinceMs)
    return { alice, bob }
  }

  multicast(from: string, packet: Packet): void {
    const bytes = wire.encode(packet)
    const decoded = wire.decode(bytes)
    this.sent.push({ atMs: this.clock.monotonic(), from, bytes: bytes.length, packet: decoded })
    this.clock.after(1, () => {
      for (const link of this.#links) link.receive(decoded, from)
    })
  }
}
