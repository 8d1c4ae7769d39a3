import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import multicastDns from 'multicast-dns'
import { encodeAnnouncement, serviceName } from '../../src/network/discovery/mdns/mdns-packets.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { fakePeerId } from './fake-peer-id.ts'
import type { Served } from './raw-peer.ts'
import { addressOf, outcomeOf, pause, tryJoin, type Scene } from './scene.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'

/** Threat 40: strangers on the local network who answer, or who are many. */
export const threats: Threat[] = [
  {
    row: 40,
    title: "strangers' made-up answers are ignored without delay to the honest one",
    attack: madeUpAnswers,
    without: [
      {
        what: 'the check of the probe',
        patches: [
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `  if (!sameMac(challenge.probe, expected)) return null\n`,
            replace: ``,
          },
        ],
      },
      {
        what: 'the check of the refusal',
        patches: [
          {
            file: 'src/pairing/joiner.ts',
            find: `message.type === 'Refused' && verifyRequestRefusal(context, candidate, message)`,
            replace: `message.type === 'Refused'`,
          },
        ],
      },
    ],
  },
  {
    row: 40,
    title: '1,000 invented peers that never answer do not keep a joiner from the honest one',
    attack: inventedPeers,
    seconds: 60,
    without: [
      {
        what: 'a place in the queue that is only lent',
        patches: [
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `if (this.#waiting.hasAny(candidate.rank)) question.abort.abort()`,
            replace: `if (candidate.nextPatienceMs < 0) question.abort.abort()`,
          },
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `if ((this.#places.get(sender) ?? 0) * 2 >= most) return`,
            replace: `if (most >= 0) return`,
          },
          {
            file: 'src/network/discovery/local-network.ts',
            find: `const marked = isMarkedFor(marks, pairing)`,
            replace: `const marked = isMarkedFor(null, pairing)`,
          },
          // A place that comes free by a deadline would let a slow machine through.
          {
            file: 'src/protocols/pairing-exchanges.ts',
            find: `const exchangeTimeoutMs = 8_000`,
            replace: `const exchangeTimeoutMs = 600_000`,
          },
          {
            file: 'src/network/host/host-dials.ts',
            find: `export const dialTimeoutMs = 10_000`,
            replace: `export const dialTimeoutMs = 600_000`,
          },
        ],
      },
    ],
  },
  {
    row: 40,
    title: '1,000 invented peers make a device that shows a code dial ten a second, and not all of them',
    attack: inventedJoiners,
    seconds: 20,
    without: [
      {
        what: 'the bounds of its own dials',
        patches: [
          {
            file: 'src/protocols/outreach.ts',
            find: `const maxPeers = 64\nconst maxDialling = 8\nconst dialPace = { everyMs: 100, inARow: 16 }\n`,
            replace: `const maxPeers = 10_000\nconst maxDialling = 10_000\nconst dialPace = { everyMs: 0, inARow: 16 }\n`,
          },
        ],
      },
    ],
  },
]

async function madeUpAnswers(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  let heard = 0
  const answers: ((request: PairingMessage) => PairingMessage)[] = [
    () => ({ type: 'Challenge', nonce: bytes(32), share: bytes(32), probe: bytes(16) }),
    () => ({ type: 'Challenge', nonce: bytes(32), share: bytes(32), probe: new Uint8Array(16) }),
    (request) => ({
      type: 'Challenge',
      nonce: bytes(32),
      share: bytes(32),
      probe: request.type === 'PairingRequest' ? request.probe : bytes(16),
    }),
    () => ({ type: 'Refused', reason: 'used', mac: bytes(32) }),
    () => ({ type: 'Refused', reason: 'cancelled', mac: new Uint8Array(32) }),
    () => ({ type: 'Waiting' }),
    () => ({ type: 'Acknowledged' }),
    () => ({ type: 'Complete', sealed: bytes(272), proof: bytes(32) }),
    () => ({ type: 'Cancel', mac: bytes(32) }),
    (request) => request,
  ]
  const strangers = await Promise.all(
    answers.map(async (answer) => {
      const stranger = await scene.rawPeer()
      const serve: Served = (message) => {
        heard++
        return answer(message)
      }
      await stranger.serve(serve)
      return stranger.address
    }),
  )
  // All of them have answered before the honest one is there to be asked.
  const joining = tryJoin(bob, (await alice.pair()).words, strangers, { timeoutMs: 2_500 })
  const early = await Promise.race([joining, pause(12_000).then(() => 'held up')])
  if (early !== 'not-found') return succeeded(`with strangers only: ${outcomeOf(early)}`)
  const invitation = await alice.pair()
  const joined = await tryJoin(bob, invitation.words, [...strangers, addressOf(alice)])
  return unless(
    {
      [`the honest one: ${outcomeOf(joined)}`]: typeof joined === 'string' || joined.peerId !== alice.peerId,
      'nobody was asked': heard < answers.length,
    },
    `${heard} made-up answers of ${answers.length} kinds; the honest pairing succeeded`,
  )
}

/** A port that takes connections and says nothing. */
async function silentPort(scene: Scene): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scene.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Announces peers at this port until a node has heard of most of them. */
async function inventPeers(scene: Scene, port: number, heardOf: ReadonlySet<string>): Promise<void> {
  const host =
    (networkInterfaces()['lo'] ?? []).find(({ family }) => family === 'IPv4')?.address ?? '127.0.0.1'
  const mdns = multicastDns({ interface: host, loopback: true, reuseAddr: true })
  scene.after(() => mdns.destroy())
  const invented = Array.from({ length: inventedCount }, fakePeerId)
  const announce = async (): Promise<void> => {
    for (let first = 0; first < inventedCount; first += peersPerPacket) {
      const packets = invented.slice(first, first + peersPerPacket).flatMap((peerId, at) => {
        const address = `/ip4/127.0.0.1/tcp/${port}/p2p/${peerId}`
        const name = `flood${first + at}.${serviceName}`
        return encodeAnnouncement(name, [{ multiaddr: address, family: 'ipv4', host, port }]) ?? []
      })
      const answers = packets.flatMap((packet) => packet.answers ?? [])
      const additionals = packets.flatMap((packet) => packet.additionals ?? [])
      mdns.respond({ answers, additionals })
      await pause(5)
    }
  }
  for (let round = 0; heardOf.size < 0.8 * inventedCount; round++) {
    if (round === 10) throw new Error(`the flood does not arrive: ${heardOf.size} peers`)
    await announce()
    await pause(300)
  }
}

const inventedCount = 1_000
/** Fewer packets than are read of one sender. */
const peersPerPacket = 10

async function inventedPeers(scene: Scene): Promise<Verdict> {
  const discovered = new Set<string>()
  const bob = await scene.node('bob', { mdns: true })
  bob.addEventListener('device:discovered', ({ detail }) => discovered.add(detail.peerId))
  await inventPeers(scene, await silentPort(scene), discovered)
  // They are all known when the join begins, and the honest one is the last that is heard of.
  const alice = await scene.node('alice', { mdns: true })
  const invitation = await alice.pair()
  const startedAt = performance.now()
  const joined = await tryJoin(bob, invitation.words, [], { timeoutMs: 30_000 })
  const tookMs = Math.round(performance.now() - startedAt)
  return unless(
    {
      [`the honest one: ${outcomeOf(joined)} after ${tookMs} ms`]:
        typeof joined === 'string' || joined.peerId !== alice.peerId,
    },
    `${discovered.size} invented peers; paired after ${tookMs} ms`,
  )
}

async function inventedJoiners(scene: Scene): Promise<Verdict> {
  const discovered = new Set<string>()
  const alice = await scene.node('alice', { mdns: true })
  alice.addEventListener('device:discovered', ({ detail }) => discovered.add(detail.peerId))
  await inventPeers(scene, await silentPort(scene), discovered)
  const startedAt = performance.now()
  const invitation = await alice.pair()
  await pause(5_000)
  const dials = alice.metrics().dials.tried
  const atMost = 16 + Math.ceil((performance.now() - startedAt) / 100)
  const bob = await scene.node('bob')
  const joined = await tryJoin(bob, invitation.words, [addressOf(alice)], { timeoutMs: 20_000 })
  return unless(
    {
      [`${dials} dials in five seconds`]: dials > atMost,
      'nobody was dialled': dials === 0,
      [`the honest one: ${outcomeOf(joined)}`]: typeof joined === 'string',
    },
    `${discovered.size} invented peers; ${dials} dials in five seconds`,
  )
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
