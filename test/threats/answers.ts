import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { privateDhtProtocol, publicDhtProtocol } from '../../src/network/dht/dht-protocols.ts'
import { honestRecord, recordKeysOf, rendezvousServer } from './dht-records.ts'
import { recordDials } from './dials.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { HostileDht } from './hostile-dht.ts'
import { encode, field } from './protobuf.ts'
import { tryJoin, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Whoever is asked, by a device that has to ask strangers, answers with more than it can read in reasonable time. */
export const threats: Threat[] = [
  {
    row: 23,
    title: 'a DHT node whose answer names 5,000 others is not listened to',
    attack: answerAtLength,
    seconds: 4,
    without: [
      {
        what: 'the limit of an answer',
        patches: [
          {
            file: 'src/network/dht/dht-service.ts',
            find: `    limitAnswer(stream, maxAnswerBytes)\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 23,
    title: 'a rendezvous node answers 64 KiB of questions on one stream, not more',
    attack: askAtLength,
    without: [
      {
        what: 'the limit of a stream of questions',
        patches: [
          {
            file: 'src/network/dht/dht-service.ts',
            find: `              limitQuestions(stream, maxQuestionBytes)\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 23,
    title: 'a relay of the public network that says it has 10,000 addresses gives nobody a place',
    attack: reserveAtLength,
    seconds: 4,
    without: [
      {
        what: 'the limit of an answer',
        patches: [
          {
            file: 'src/network/public/found-relays.ts',
            find: `[limitFirstMessage(maxAnswerBytes)]`,
            replace: `[]`,
          },
        ],
      },
    ],
  },
]

async function askAtLength(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const mallory = await HostileDht.start({ answer: () => ({}) })
  scene.after(() => mallory.stop())
  const connection = await mallory.libp2p.dial(multiaddr(address))
  const stream = await connection.newStream(privateDhtProtocol)
  const messages = lpStream(stream)
  const [get, key] = [1, new Uint8Array(1_000)]
  const question = encode([field(1, get), field(2, key)])
  let answers = 0
  const signal = AbortSignal.timeout(60_000)
  try {
    while (answers < 200) {
      await messages.write(question, { signal })
      await messages.read({ signal })
      answers += 1
    }
  } catch {
    // The stream is reset.
  }
  return unless(
    { 'no question is answered': answers === 0, [`${answers} questions on one stream`]: answers >= 200 },
    `the stream is reset after ${answers} questions`,
  )
}

async function answerAtLength(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  const alice = await scene.node('alice')
  const { words } = await alice.pair()
  const keys = recordKeysOf(words)
  // The record in the same answer shows whether it was read.
  const value = await honestRecord(keys, { peer: alice.peerId, addresses: ['/ip4/127.66.3.3/tcp/9'] }, 1n)
  const closer = Array.from({ length: 5_000 }, () => ({ peer: fakePeerId(), addresses: [] }))
  const hostile = await HostileDht.start({ answer: () => ({ value, closer }) })
  scene.after(() => hostile.stop())
  const bob = await scene.node('bob', { rendezvous: [hostile.address] })
  const joining = tryJoin(bob, words, [], { timeoutMs: 4_000 })
  await until(() => hostile.overheard.length > 0, 'it is asked', 4_000)
  await joining
  return unless(
    { 'the record in its answer is used': dials.includes('127.66.3.3:9') },
    'nothing of its answer is used',
  )
}

async function reserveAtLength(scene: Scene): Promise<Verdict> {
  const addresses = Array.from({ length: 10_000 }, (_, at) =>
    field(2, multiaddr(`/ip4/20.3.${at >> 8}.${at & 255}/tcp/4001`).bytes),
  )
  const inAnHour = Math.floor(Date.now() / 1_000) + 3_600
  const reservation = encode([field(1, inAnHour), ...addresses])
  const [status, ok] = [2, 100]
  const answer = encode([field(1, status), field(3, reservation), field(5, ok)])
  let answered = 0
  const hostile = await HostileDht.start({ answer: () => ({}), protocol: publicDhtProtocol })
  scene.after(() => hostile.stop())
  await hostile.libp2p.handle(RELAY_V2_HOP_CODEC, async (stream) => {
    const messages = lpStream(stream)
    await messages.read()
    await messages.write(answer).catch(() => {})
    answered += 1
  })
  const alice = await scene.node('alice', { dht: 'public', dhtBootstrap: [hostile.address] })
  const places = (): readonly string[] => alice.status().publicNetwork?.relays ?? []
  await until(() => answered > 0, 'it is asked for a place', 30_000)
  await until(() => places().length > 0, 'a place', 5_000).catch(() => undefined)
  return unless({ 'it gives a place': places().length > 0 }, 'it gives none')
}
