import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Connection, Stream } from '@libp2p/interface'
import { Libp2pRecord } from '@libp2p/record'
import { multiaddr } from '@multiformats/multiaddr'
import { base58 } from '@scure/base'
import { Key } from 'interface-datastore'
import { systemClock } from '../../src/clock.ts'
import { NamedPeers } from '../../src/network/dht/named-peers.ts'
import { RecordStore, servedConnection } from '../../src/network/dht/record-store.ts'
import { PeerTable } from '../../src/network/discovery/mdns/mdns-peers.ts'
import { encodeAddressRecord } from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { CandidateQueue } from '../../src/protocols/candidate-queue.ts'
import { openMemoryStore } from '../../src/store/store.ts'
import { codeOf, addressOf, type Scene } from './scene.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** Threat 36: very many of something. What they leave behind is measured, and is a fraction of what keeping them costs. */
export const threats: Threat[] = [
  {
    row: 36,
    title: '100,000 candidates for a join leave a bounded number in memory',
    attack: manyCandidates,
    without: [
      {
        what: 'the bound of the queue',
        patches: [
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `if (this.#candidates.size < this.#options.maxPeers) return`,
            replace: `if (this.#candidates.size < 10_000_000) return`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title: '100,000 announcements and 20,000 sightings of peers leave a bounded number in memory',
    attack: manySightings,
    seconds: 10,
    without: [
      {
        what: 'the bound on announced peers',
        patches: [
          {
            file: 'src/network/discovery/mdns/mdns-peers.ts',
            find: `capacity = 1_000`,
            replace: `capacity = 10_000_000`,
          },
        ],
      },
      {
        what: 'the bound on discovered peers',
        patches: [
          {
            file: 'src/store/live-state.ts',
            find: `const maximumSighted = 1_000`,
            replace: `const maximumSighted = 10_000_000`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title:
      '50,000 records at a DHT server, and 50,000 names that one DHT node gives, leave a bounded number in memory',
    attack: manyRecords,
    without: [
      {
        what: 'the bound on records',
        patches: [
          {
            file: 'src/network/dht/store-quota.ts',
            find: `while (this.#entries.size > records) dropped.push(this.#dropOne())`,
            replace: `while (this.#entries.size > 10_000_000) dropped.push(this.#dropOne())`,
          },
        ],
      },
      {
        what: 'the bound on names',
        patches: [
          {
            file: 'src/network/dht/named-peers.ts',
            find: `if (own >= this.#limits.perAnswerer || this.#unproven.size >= this.#limits.inAll) return false`,
            replace: `if (own >= 10_000_000) return false`,
          },
          {
            file: 'src/network/dht/named-peers.ts',
            find: `const own = [...this.#unproven.values()].filter((each) => each.answerer === answerer).length`,
            replace: `const own = 0`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title: 'of 100,000 codes 32 are made',
    attack: manyCodes,
    without: [
      {
        what: 'the bound on live and remembered codes',
        patches: [
          {
            file: 'src/protocols/pairing-service.ts',
            find: `if (this.#invitations.size >= maxInvitations) {`,
            replace: `if (this.#invitations.size >= 10_000_000) {`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title: '5,000 streams that strangers open leave nothing in memory',
    attack: manyStreams,
    seconds: 15,
    without: [
      {
        what: 'the forgetting of streams (and the bound on them)',
        patches: [
          {
            file: 'src/network/application/protocol-registry.ts',
            find: `this.#strangers.delete(stream)\n    }`,
            replace: `this.#attached.has(definition.protocol)\n    }`,
          },
          {
            file: 'src/network/application/protocol-registry.ts',
            find: `if (this.#strangers.size < maxStrangerStreams) return`,
            replace: `if (this.#strangers.size < 10_000_000) return`,
          },
        ],
      },
    ],
  },
]

const megabyte = 1024 * 1024

/** Megabytes more on the heap after the work than before it, with all garbage collected. */
async function growthMb(work: () => void | Promise<void>): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = (): number => {
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return (heapUsed + external) / megabyte
  }
  const before = used()
  await work()
  return Math.round((used() - before) * 10) / 10
}

async function manyCandidates(): Promise<Verdict> {
  const queue = new CandidateQueue(systemClock, () => {})
  const growth = await growthMb(() => {
    for (let peer = 0; peer < 100_000; peer++) {
      queue.add({
        peer: asPeer(fakePeerId()),
        addresses: [`/ip4/10.0.0.1/tcp/${peer % 65_536}`],
        urgent: true,
      })
    }
  })
  const kept = queue.all().length
  queue.close()
  return unless(
    { [`${kept} are kept, ${growth} MB`]: kept > 5_000 || growth > 10 },
    `${kept} are kept, ${growth} MB`,
  )
}

async function manySightings(): Promise<Verdict> {
  const table = new PeerTable(() => {})
  const address = '/ip4/10.0.0.1/tcp/4001'
  const announced = await growthMb(() => {
    for (let peer = 0; peer < 100_000; peer++) {
      table.heard(
        `n${peer}`,
        {
          peerId: asPeer(fakePeerId()),
          addresses: [address],
          interface: 'lo',
          sender: `10.0.${peer % 256}.${(peer >> 8) % 256}`,
          marks: null,
        },
        360,
        peer,
      )
    }
  })
  const { registry } = openMemoryStore()
  const sighted = await growthMb(() => {
    for (let peer = 0; peer < 20_000; peer++)
      registry.sighted(asPeer(fakePeerId()), ['/ip4/10.0.0.1/tcp/4001'])
  })
  const [inTable, inRegistry] = [table.sightings().length, registry.list().length]
  return unless(
    {
      [`${inTable} of the announced are kept, ${announced} MB`]: inTable > 5_000 || announced > 10,
      [`${inRegistry} of the discovered are kept, ${sighted} MB`]: inRegistry > 5_000 || sighted > 10,
    },
    `${inTable} and ${inRegistry} are kept, ${announced} and ${sighted} MB`,
  )
}

async function manyRecords(): Promise<Verdict> {
  const many = 50_000
  const store = new RecordStore(systemClock, { records: 1_000 })
  const value = await anyRecord()
  const stored = await growthMb(() => {
    for (let at = 0; at < many; at++) {
      const remoteAddr = multiaddr(`/ip4/10.0.${at & 255}.1/tcp/1`)
      const connection = { remotePeer: `peer ${at}`, remoteAddr } as unknown as Connection
      const routingKey = base58.decode(fakePeerId())
      const key = Buffer.concat([Buffer.from('/ipns/'), routingKey])
      const record = new Libp2pRecord(key, value, new Date()).serialize()
      servedConnection.run(connection, () => store.put(new Key(`/dht/record/${at}`), record))
    }
  })
  const named = new NamedPeers(systemClock, { perAnswerer: 8, inAll: 48 })
  let admitted = 0
  const remembered = await growthMb(() => {
    for (let at = 0; at < many; at++) if (named.admit('mallory', fakePeerId())) admitted += 1
  })
  const kept = store.size
  return unless(
    {
      [`${kept} records are kept, ${stored} MB`]: kept > 5_000 || stored > 10,
      [`${admitted} names are remembered, ${remembered} MB`]: admitted > 100 || remembered > 5,
    },
    `${kept} records and ${admitted} names are kept, ${stored} and ${remembered} MB`,
  )
}

/** Record as the DHT's servers take it; that it is signed for another key they leave to their readers. */
async function anyRecord(): Promise<Uint8Array> {
  const [signingSeed, recordKey, nonce] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const content = { peer: asPeer(fakePeerId()), addresses: ['/ip4/20.0.0.1/tcp/4001'] }
  const validUntil = new Date(Date.now() + 86_400_000).toISOString()
  return encodeAddressRecord(suite1, { signingSeed, recordKey }, content, { sequence: 1n, validUntil, nonce })
}

async function manyCodes(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  let made = 0
  const growth = await growthMb(async () => {
    for (let code = 0; code < 100_000 && made < 1_000; code++) {
      const outcome = await alice.pair().then(() => 'made', codeOf)
      if (outcome === 'made') made++
    }
  })
  return unless(
    { [`${made} codes are live, ${growth} MB`]: made > 100 || growth > 20 },
    `${made} are made, ${growth} MB`,
  )
}

async function manyStreams(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const stranger = await scene.rawPeer()
  const connection = await stranger.connect(addressOf(alice))
  const garbage = new Uint8Array(randomBytes(64))
  const burst = async (streams: number, atOnce = 20): Promise<void> => {
    for (let round = 0; round < streams / atOnce; round++) {
      const asked = Array.from({ length: atOnce }, () =>
        stranger.askBytes(addressOf(alice), garbage, { connection }),
      )
      if ((await Promise.all(asked)).some((answer) => answer !== null))
        throw new Error('a stranger got an answer')
    }
  }
  // One first: streams that come before the connection is ready are turned away by libp2p itself.
  await burst(1, 1)
  await burst(500) // what is made once is made by now
  const growth = await growthMb(() => burst(5_000))
  const open: Stream[] = connection.streams
  if (open.length > 5) return succeeded(`${open.length} streams are still open`)
  return growth > 10 ? succeeded(`${growth} MB are left behind`) : withstood(`${growth} MB are left behind`)
}
