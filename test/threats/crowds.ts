import { randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import * as v from 'valibot'
import { defineEvent } from '../../src/index.ts'
import { createHost, type HostOptions } from '../../src/network/host/create-host.ts'
import type { NetworkHost } from '../../src/network/host/host.ts'
import { encode, field } from './protobuf.ts'
import { addressOf, pairNodes, pause, stillPairs, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

const gateFile = 'src/network/transport/inbound-gate.ts'
const identifyFile = 'src/network/transport/identify-service.ts'

/** Threats 42 and 43: strangers who connect, and what they tell, ask and are told by identify. */
export const threats: Threat[] = [
  {
    row: 42,
    title:
      '220 idle connections of one address and one identity keep neither a pairing nor a paired device out',
    attack: idleConnections,
    seconds: 30,
    without: [
      {
        what: 'places of strangers that a newcomer gets',
        patches: [
          { file: gateFile, find: `this.#strangers.opened(detail)`, replace: `void detail` },
          {
            file: gateFile,
            find: `  maxConnections: Number.MAX_SAFE_INTEGER,\n`,
            replace: `  maxConnections: 200,\n`,
          },
        ],
      },
    ],
  },
  {
    row: 43,
    title: 'of ten messages of identify with 800 addresses and 200 protocols each, sixteen and 64 are kept',
    attack: hugeIdentify,
    without: [
      {
        what: 'the cut',
        patches: [{ file: identifyFile, find: `    cutToSize(service)\n`, replace: `    void cutToSize\n` }],
      },
    ],
  },
  {
    row: 43,
    title: 'a stranger that proposes 400 unknown protocols, or asks for all, is cut off',
    attack: unknownProtocols,
    without: [
      {
        what: 'the limit',
        patches: [
          {
            file: 'src/network/transport/stream-muxer.ts',
            find: `      limitNegotiation(muxer, connection, components.registrar)\n`,
            replace: `      void limitNegotiation\n`,
          },
        ],
      },
    ],
  },
  {
    row: 43,
    title: 'identify tells a stranger neither addresses nor what is served to others',
    attack: askWhoItIs,
    without: [
      {
        what: 'what is left out for strangers',
        patches: [
          {
            file: identifyFile,
            find: `return strangersLearn === 'everything' ? addressesFor(own(), seenAt) : []`,
            replace: `return addressesFor(own(), seenAt)`,
          },
        ],
      },
      {
        what: 'the choice of protocols',
        patches: [
          {
            file: identifyFile,
            find: `peer.protocols.filter(strangersLearn)`,
            replace: `peer.protocols.filter(() => true)`,
          },
        ],
      },
    ],
  },
]

async function idleConnections(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  await pairNodes(alice, bob)
  const mallory = await scene.rawPeer()
  const invitation = await alice.pair()
  let opened = 0
  // One after the other: libp2p makes one of dials to the same peer at the same time.
  for (let dial = 0; dial < 220; dial++) {
    const connection = await mallory.connect(addressOf(alice), { force: true }).catch(() => null)
    if (connection !== null) opened++
  }
  const isPaired = await stillPairs(scene, alice, invitation).catch(() => false)
  const device = alice.devices().find(({ peerId }) => peerId === bob.peerId)
  return unless(
    {
      'no connection was opened': opened === 0,
      'nobody can pair any more': !isPaired,
      [`the paired device is ${device?.state}`]: device?.state !== 'connected',
    },
    `${opened} connections were opened; a new device is paired, and the other one is connected`,
  )
}

/** A host as a device has it. */
async function deviceHost(scene: Scene, options: Partial<HostOptions> = {}): Promise<NetworkHost> {
  const host = await createHost({
    seed: randomBytes(32),
    port: 0,
    interfaces: ['lo'],
    agent: 'spacedock/test',
    ...options,
  })
  scene.after(() => host.stop())
  return host
}

const identifyProtocol = '/ipfs/id/1.0.0'

async function hugeIdentify(scene: Scene): Promise<Verdict> {
  const host = await deviceHost(scene)
  const mallory = await scene.rawPeer()
  const { publicKey } = mallory.libp2p.peerId
  if (publicKey === undefined) throw new Error('it has a key that is not in its name')
  const key = encode([field(1, 1), field(2, publicKey.raw)])
  await mallory.libp2p.handle(identifyProtocol, async (stream) => {
    for (let message = 0; message < 10; message++) {
      const addresses = Array.from({ length: 500 }, (_, at) =>
        field(2, Uint8Array.of(4, 10, message, at >> 8, at & 255, 6, 16, 1)),
      )
      const protocols = Array.from({ length: 100 }, (_, at) => field(3, Buffer.from(`/p/${message}/${at}`)))
      const body = encode([field(1, key), ...addresses, ...protocols])
      stream.send(encode([Uint8Array.of((body.length & 127) | 128, body.length >> 7), body]))
    }
    await stream.close().catch(() => {})
  })
  const told: number[] = []
  host.libp2p.addEventListener('peer:identify', ({ detail }) => {
    told.push(detail.listenAddrs.length, detail.protocols.length)
  })
  await mallory.connect(String(host.addresses()[0]))
  await until(() => told.length > 0, 'who it is')
  const known = await host.libp2p.peerStore.get(mallory.libp2p.peerId)
  return unless(
    {
      [`${told.join(' and ')} are taken over`]: (told[0] ?? 0) > 16 || (told[1] ?? 0) > 64,
      [`${known.addresses.length} addresses are kept`]: known.addresses.length > 16,
    },
    `${told.join(' addresses and ')} protocols are taken over`,
  )
}

async function unknownProtocols(scene: Scene): Promise<Verdict> {
  const host = await deviceHost(scene)
  const mallory = await scene.rawPeer()
  const connection = await mallory.connect(String(host.addresses()[0]))
  let answered = 0
  for (let turn = 0; turn < 20 && connection.status === 'open'; turn++) {
    answered += await propose(connection.newStream.bind(connection), 20).catch(() => 0)
  }
  return unless(
    { [`${answered} of 400 are answered`]: answered > 160 },
    `${answered} of 400 are answered, and the connection is ${connection.status}`,
  )
}

/** Proposes unknown protocols on one stream; resolves with the number of answers. */
async function propose(newStream: (protocol: string) => Promise<Stream>, count: number): Promise<number> {
  const names = Array.from({ length: count }, () => `/${randomBytes(8).toString('hex')}/1.0.0`)
  let answered = 0
  for (const name of names) {
    const isRefused = await newStream(name).then(
      () => false,
      (error: unknown) => error instanceof Error && error.name === 'UnsupportedProtocolError',
    )
    if (isRefused) answered++
  }
  return answered
}

const secretHobby = defineEvent({ name: 'secret-hobby', version: 1, event: v.number(), handler: () => {} })

async function askWhoItIs(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice', {
    setUp(node) {
      node.handle(secretHobby)
    },
  })
  const mallory = await scene.rawPeer()
  const stream = await mallory.open(addressOf(alice), identifyProtocol)
  const chunks: Uint8Array[] = []
  stream.addEventListener('message', ({ data }) => chunks.push(data.subarray()))
  await until(() => stream.readStatus === 'closed' || stream.status !== 'open', 'the answer')
  await pause(50)
  const answer = Buffer.concat(chunks).toString('latin1')
  const port = Number(/\/tcp\/(\d+)/u.exec(addressOf(alice))?.[1])
  const address = Buffer.from([4, 127, 0, 0, 1, 6, port >> 8, port & 255])
  // It also says where it sees the asker, which is another port.
  return unless(
    {
      'there was no answer': !answer.includes('/ipfs/ping'),
      'it tells the application’s protocols': answer.includes('secret-hobby'),
      'it tells of sessions': answer.includes('/spacedock/session'),
      'it tells its address': answer.includes(address.toString('latin1')),
    },
    `it tells ${[...answer.matchAll(/\/(?:ipfs|spacedock)\/[a-z]+/gu)].join(', ')}`,
  )
}
