import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { usableAddresses } from '../../src/network/dht/named-peers.ts'
import { RecordAddresses } from '../../src/network/discovery/record-addresses.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { parsePeerId } from '../../src/libp2p-peer.ts'
import { rendezvousServer } from './dht-records.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { HostileDht } from './hostile-dht.ts'
import { addressOf, outcomeOf, tryJoin, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

const serviceFile = 'src/network/dht/dht-service.ts'
const relayFile = 'src/network/discovery/record-addresses.ts'
const namedFile = 'src/network/dht/named-peers.ts'

/** Whoever is no node of a private DHT, and would like to be; and whoever asks it for what is none of his business. */
export const threats: Threat[] = [
  {
    row: 45,
    title:
      'a stranger who claims to be a node of a private DHT is asked nothing, neither by nodes nor by devices',
    attack: claimToBeANode,
    seconds: 6,
    without: [
      {
        what: 'the question whether somebody is a member',
        patches: [
          {
            file: 'src/network/dht/members.ts',
            find: `return this.#configured.has(peer) || [...this.#named.values()].some((named) => named.has(peer))`,
            replace: `return true`,
          },
        ],
      },
    ],
  },
  {
    row: 45,
    title: 'a rendezvous node tells nobody of a device, whatever it is asked',
    attack: askForADevice,
    without: [
      {
        what: 'the view of the members alone',
        patches: [{ file: serviceFile, find: `name === 'peerStore' && members !== null`, replace: `false` }],
      },
    ],
  },
  {
    row: 45,
    title:
      'a node on the internet that names 100 addresses, those of the own machine first, has four dialled, public ones',
    attack: nameAddresses,
    without: [
      {
        what: 'the scope of the node that names them',
        patches: [
          {
            file: namedFile,
            find: `addressesFor(addresses, classOfAddress(seenAt)).filter(isOverTcp)`,
            replace: `addresses.filter(isOverTcp)`,
          },
        ],
      },
      {
        what: 'the limit for a peer',
        patches: [{ file: namedFile, find: `const maxAddresses = 4`, replace: `const maxAddresses = 100` }],
      },
    ],
  },
  {
    row: 45,
    title:
      'a record that names doors in the reader’s network as its relays, by address and by name, has none of them dialled',
    attack: nameRelays,
    without: [
      {
        what: 'the choice of addresses that mean the same everywhere',
        patches: [
          {
            file: relayFile,
            find: `isPublicClass(classOfIp(each)) && !isOnLink(each)`,
            replace: `each.length > 0`,
          },
        ],
      },
      {
        what: 'the addresses that a person gave of the own relays',
        patches: [
          {
            file: relayFile,
            find: 'if (own !== undefined) return `${own}${textOf(behind)}`',
            replace: 'if (own !== undefined) return address',
          },
        ],
      },
      {
        what: 'the limit for a record',
        patches: [{ file: relayFile, find: `const maxRelayed = 4`, replace: `const maxRelayed = 12` }],
      },
    ],
  },
]

async function claimToBeANode(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((name) => scene.node(name, { rendezvous: [address] })),
  )
  if (alice === undefined || bob === undefined) throw new Error('there are two nodes')
  const strangers = await Promise.all(
    Array.from({ length: 4 }, () => HostileDht.start({ answer: () => ({}) })),
  )
  let dialled = 0
  for (const stranger of strangers) {
    scene.after(() => stranger.stop())
    stranger.libp2p.addEventListener('connection:open', ({ detail }) => {
      if (detail.direction === 'inbound') dialled += 1
    })
  }
  const claims = [address, addressOf(alice), addressOf(bob)]
  // Identify tells what they claim.
  await Promise.all(
    strangers.flatMap(({ libp2p }) =>
      claims.map(async (claim) => {
        const identified = Promise.withResolvers<void>()
        libp2p.addEventListener('peer:identify', ({ detail }) => {
          if (claim.endsWith(detail.peerId.toString())) identified.resolve()
        })
        await libp2p.dial(multiaddr(claim))
        await identified.promise
      }),
    ),
  )
  const invitation = await alice.pair()
  const outcome = outcomeOf(await tryJoin(bob, invitation.words, [], { timeoutMs: 30_000 }))
  // A second code: its lookups come after everybody has had a chance to be known.
  const second = await bob.pair()
  const carol = await scene.node('carol', { rendezvous: [address] })
  const later = outcomeOf(await tryJoin(carol, second.words, [], { timeoutMs: 30_000 }))
  const asked = strangers.reduce((sum, { overheard }) => sum + overheard.length, 0)
  return unless(
    {
      [`strangers are asked ${asked} times`]: asked > 0,
      [`strangers are dialled ${dialled} times`]: dialled > 0,
      [`the joins end with ${outcome} and ${later}`]: outcome !== 'paired' || later !== 'paired',
    },
    'nobody asks them anything, or dials them; the words pair',
  )
}

async function askForADevice(scene: Scene): Promise<Verdict> {
  const { address, server } = await rendezvousServer(scene)
  const alice = await scene.node('alice', { rendezvous: [address] })
  const mallory = await HostileDht.start({ answer: () => ({}) })
  scene.after(() => mallory.stop())
  await until(() => server.usage().reservations === 1, 'the node knows alice')
  const id = peerIdFromString(alice.peerId).toMultihash().bytes
  const publicKey = Uint8Array.from([...Buffer.from('/pk/'), ...id])
  return unless(
    {
      'FIND_NODE tells of alice': await mallory.isTold(address, 'findNode', id),
      'GET_VALUE tells of alice': await mallory.isTold(address, 'get', id),
      'the public key shows that alice is known': await mallory.isTold(address, 'get', publicKey),
    },
    'three questions for a device that is connected, and no answer names anybody',
  )
}

function over(place: string, relay: string): string {
  return `${place}/tcp/22/p2p/${relay}/p2p-circuit`
}

async function nameRelays(): Promise<Verdict> {
  const [own, other, peer] = [fakePeerId(), fakePeerId(), fakePeerId()]
  const rules = new RecordAddresses({
    ownRelays: [`/ip4/20.3.4.5/tcp/4111/p2p/${own}`],
    privateRelays: () => false,
    usesOnlyLoopback: () => false,
    lookUp: async () => ['127.0.0.1', '192.168.1.1'],
  })
  const doors = [
    over('/ip4/192.168.1.1', other),
    over('/ip4/192.168.1.2', own),
    over('/dns4/router.example.org', other),
  ]
  const outside = Array.from({ length: 9 }, (_, at) => over(`/ip4/20.3.4.${at}`, other))
  const [inside, relays] = await Promise.all(
    [doors, outside].map((named) => rules.usable(named, parsePeerId(peer) as PeerId)),
  )
  const visited = (inside ?? []).filter((address) => address.includes('/tcp/22/'))
  return unless(
    {
      [`dialled: ${visited.join(', ')}`]: visited.length > 0,
      [`${relays?.length} relays of one record are dialled`]: (relays?.length ?? 0) > 4,
    },
    `of three doors none, of nine relays ${relays?.length}`,
  )
}

function nameAddresses(): Promise<Verdict> {
  const forbidden = ['127.0.0.1', '10.0.0.1', '192.168.1.1', '100.64.0.1', '169.254.1.1']
  const named = [...forbidden, ...Array.from({ length: 95 }, (_, at) => `20.3.4.${at}`)]
  const used = usableAddresses(
    named.map((ip) => multiaddr(`/ip4/${ip}/tcp/22`)),
    multiaddr('/ip4/20.3.4.5/tcp/4111'),
  ).map(String)
  const inside = used.filter((address) => forbidden.some((ip) => address.includes(`/${ip}/`)))
  return Promise.resolve(
    unless(
      {
        [`dialled: ${inside.join(', ')}`]: inside.length > 0,
        [`${used.length} are dialled`]: used.length > 4,
      },
      `${used.length} of ${named.length} addresses`,
    ),
  )
}
