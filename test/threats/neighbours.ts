import { randomBytes, randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { systemClock } from '../../src/clock.ts'
import type { FoundPeer } from '../../src/network/discovery/candidate-sources.ts'
import { LocalNetwork, type LocalListener } from '../../src/network/discovery/local-network.ts'
import { OwnMarks } from '../../src/network/discovery/mdns/mdns-marks.ts'
import { serviceName, type Packet } from '../../src/network/discovery/mdns/mdns-packets.ts'
import type { MarkedPairing } from '../../src/pairing/announcement-mark.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { CandidateQueue } from '../../src/protocols/candidate-queue.ts'
import { wire } from '../network/discovery/mdns/simulated-lan.ts'
import { asPeer } from '../peers.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { pause, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threat 44: neighbours who multicast inventions. `npm run test:hostile` has them in real networks, with figures. */
export const threats: Threat[] = [
  {
    row: 44,
    title: 'of 200 packets with wrong addresses in its name, none takes a device from whoever looks for it',
    attack: wrongAddresses,
    without: [
      {
        what: 'the mark',
        patches: [
          {
            file: 'src/network/discovery/local-network.ts',
            find: `const marked = isMarkedFor(marks, pairing)`,
            replace: `const marked = isMarkedFor(null, pairing)`,
          },
        ],
      },
      {
        what: 'addresses by their sender',
        patches: [
          {
            file: 'src/network/discovery/mdns/mdns-peers.ts',
            find: 'const key = `${sighting.interface} ${sighting.sender} ${sighting.peerId}`',
            replace: 'const key = `${sighting.interface} ${sighting.peerId}`',
          },
        ],
      },
    ],
  },
  {
    row: 44,
    title: 'a device that bears no mark is asked in its turn, however many peers another sender has invented',
    attack: inventedPeers,
    without: [
      {
        what: 'room for each sender',
        patches: [
          {
            file: 'src/network/discovery/mdns/mdns-peers.ts',
            find: `if (entries.size > (fullest?.size ?? 1)) fullest = entries`,
            replace: `void entries`,
          },
        ],
      },
      {
        what: 'turns of the senders',
        patches: [
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `marked = false, sender = '' } = found`,
            replace: `marked = false } = found\n    const sender = ''`,
          },
        ],
      },
    ],
  },
  {
    row: 44,
    title: 'packets that a sender sends without end are not read without end',
    attack: endlessPackets,
    without: [
      {
        what: 'the pace',
        patches: [
          {
            file: 'src/network/discovery/mdns/mdns-channel.ts',
            find: `if (!this.#pace.take(address, this.#options.clock.monotonic())) return`,
            replace: ``,
          },
        ],
      },
    ],
  },
]

async function wrongAddresses(scene: Scene): Promise<Verdict> {
  const { alice, bob, mallory, key } = await onOneNetwork(scene)
  for (let packet = 0; packet < 200; packet++) {
    const addresses = Array.from({ length: 16 }, () => `/ip4/127.9.9.9/tcp/${1 + randomInt(65_000)}`)
    mallory.claim(alice, addresses)
    if (packet % 10 === 9) await pause(2)
  }
  await mallory.isHeardBy(bob)
  const withWords = bob.candidates({ key, role: 'joiner' }).filter(({ peer }) => peer === alice)
  const without = bob
    .candidates({ key: randomBytes(32), role: 'joiner' })
    .filter(({ peer }) => peer === alice)
  const right = withWords.find(({ marked }) => marked === true)?.addresses ?? []
  const first = without.map(({ addresses }) => addresses[0] ?? '')
  return unless(
    {
      'its mark is not seen': right.length === 0,
      'wrong addresses are dialled': right.some((address) => address.includes('127.9.9.9')),
      'wrong addresses crowd out the right one': !first.every((address) => address.includes('127.0.0.1')),
    },
    `${right.length} address by the mark; the right one first without it`,
  )
}

async function inventedPeers(scene: Scene): Promise<Verdict> {
  const { alice, bob, mallory } = await onOneNetwork(scene)
  for (let packet = 0; packet < 300; packet++) {
    mallory.say(
      Array.from({ length: 12 }, fakePeerId).map((peer) => ({
        peer,
        texts: textsOf(peer, ['/ip4/127.9.9.9/tcp/9']),
      })),
    )
    // So that the socket's buffer does not run over.
    if (packet % 10 === 9) await pause(2)
  }
  await mallory.isHeardBy(bob)
  const asked: string[] = []
  const queue = new CandidateQueue(systemClock, (peer) => asked.push(peer))
  scene.after(() => queue.close())
  const candidates = bob.candidates({ key: randomBytes(32), role: 'joiner' })
  // The worst order: she is the last that is found.
  for (const candidate of candidates.toReversed()) queue.add(candidate)
  const places = asked.length
  const isDue = (): boolean => asked.includes(alice)
  // The places that others give up, because theirs is due or their time is.
  for (const peer of asked.slice(0, 8)) if (!isDue()) queue.asked(asPeer(peer))
  return unless(
    { [`${places} are asked, and the device is not`]: !isDue() },
    `${candidates.length} are known; the device is number ${asked.indexOf(alice) + 1} to be asked`,
  )
}

async function endlessPackets(scene: Scene): Promise<Verdict> {
  const { bob, mallory } = await onOneNetwork(scene)
  const sent = 3_000
  const startedAt = performance.now()
  for (let packet = 0; packet < sent; packet++) {
    mallory.claim(fakePeerId(), ['/ip4/127.0.0.1/tcp/9'])
    // So that the socket's buffer does not run over.
    if (packet % 20 === 19) await pause(1)
  }
  await pause(200)
  const seconds = (performance.now() - startedAt) / 1_000
  const read = bob.sightings
  const atMost = 420 + Math.ceil(seconds * 100)
  return unless(
    { [`${read} of ${sent} packets are read`]: read > atMost },
    `${read} of ${sent} packets are read`,
  )
}

/** Alice, who has said once that she shows a code; Bob, who has heard it; and Mallory. */
async function onOneNetwork(scene: Scene): Promise<{
  alice: PeerId
  bob: Listener
  mallory: Neighbour
  key: Uint8Array
}> {
  const key = randomBytes(32)
  const port = await freePort()
  const bob = new Listener(port)
  scene.after(() => bob.network.stop())
  await bob.network.start()
  const alice = asPeer(fakePeerId())
  const [mallory, aliceHerself] = [new Neighbour(port), new Neighbour(port)]
  for (const neighbour of [mallory, aliceHerself]) scene.after(() => neighbour.close())
  await aliceHerself.start('127.0.0.1')
  await mallory.start('127.0.0.2')
  const addresses = [`/ip4/127.0.0.1/tcp/1/p2p/${alice}`]
  const marks = new OwnMarks(alice)
  marks.add({ key, role: 'initiator' })
  aliceHerself.say([{ peer: alice, texts: [`dnsaddr=${addresses[0]}`, marks.text(addresses)] }])
  await until(() => bob.heard.has(alice), 'Alice is seen')
  return { alice, bob, mallory, key }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

/** A device as far as it multicasts, on the loopback interface. */
class Listener implements LocalListener {
  readonly network: LocalNetwork
  readonly heard = new Set<string>()
  sightings = 0

  constructor(port: number) {
    const host = { peerId: asPeer(fakePeerId()), listening: () => [] }
    this.network = new LocalNetwork(this, { host, interfaces: ['lo'], log: () => {}, port })
  }

  deviceSighted(peer: string): void {
    this.sightings++
    this.heard.add(peer)
  }

  deviceLost(): void {}

  ownPeerAnnounced(): void {}

  /** What a search for the other device finds at its start. */
  candidates(pairing: MarkedPairing): FoundPeer[] {
    const found: FoundPeer[] = []
    const { signal, abort } = scoped()
    void this.network
      .source(pairing)
      .find({ signal, onCandidate: (each) => found.push(each), onStatus: () => {} })
    abort()
    return found
  }
}

function scoped(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

/** Somebody on the network, with an address of his own. */
class Neighbour {
  readonly #port: number
  readonly #socket = createSocket({ type: 'udp4', reuseAddr: true })
  #said = 0

  constructor(port: number) {
    this.#port = port
  }

  async start(address: string): Promise<void> {
    this.#socket.bind({ address, port: this.#port })
    await once(this.#socket, 'listening')
    this.#socket.setMulticastInterface(address)
  }

  say(peers: readonly { peer: string; texts: string[] }[]): void {
    const named = peers.map((each) => ({
      ...each,
      name: `${each.peer.slice(-20)}${this.#said++}.${serviceName}`,
    }))
    const packet: Packet = {
      type: 'response',
      answers: named.map(({ name }) => ({ name: serviceName, type: 'PTR', ttl: 360, data: name })),
      additionals: named.map(({ name, texts }) => ({ name, type: 'TXT', ttl: 360, data: texts })),
    }
    this.#socket.send(wire.encode(packet), this.#port, '224.0.0.251')
  }

  /** Says where a peer is. */
  claim(peer: string, addresses: readonly string[]): void {
    this.say([{ peer, texts: textsOf(peer, addresses) }])
  }

  /** Resolves when all that was said until now has arrived. */
  async isHeardBy({ heard }: Listener): Promise<void> {
    const last = fakePeerId()
    for (let times = 0; times < 100 && !heard.has(last); times++) {
      this.claim(last, ['/ip4/127.0.0.1/tcp/9'])
      await pause(20)
    }
    await until(() => heard.has(last), 'what was said')
  }

  close(): void {
    this.#socket.close()
  }
}

function textsOf(peer: string, addresses: readonly string[]): string[] {
  return addresses.map((address) => `dnsaddr=${address}/p2p/${peer}`)
}
