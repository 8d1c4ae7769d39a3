import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { publicDhtProtocol } from '../../src/network/dht/dht-protocols.ts'
import { chooseRandomPort } from '../../src/network/transport/listen-port.ts'
import {
  honestRecord,
  oversizedRecord,
  recordKeysOf,
  rendezvousServer,
  routingKeyOf,
  unsealedRecord,
} from './dht-records.ts'
import { pretendToHaveACard, recordDials } from './dials.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { HostileDht, type HostileAnswer, type InventedPeer } from './hostile-dht.ts'
import { addressOf, outcomeOf, pause, tryJoin, until, type Scene } from './scene.ts'
import { unless, type Patch, type Threat, type Verdict } from './threat.ts'

const recordFile = 'src/pairing/address-record.ts'
const dhtFile = 'src/network/dht/dht-service.ts'
const filterFile = 'src/network/addresses/address-filter.ts'

const noRecordCapInDht: Patch = {
  file: dhtFile,
  find: `  if (value.length > maxRecordLength) throw new Error('the record is too large')\n`,
  replace: ``,
}

/** Whoever serves records in a DHT, or holds the words and writes them. */
export const threats: Threat[] = [
  {
    row: 20,
    title: 'records with the wrong key, the wrong seal, 10 KiB or 1,000 addresses are ignored',
    attack: poison,
    seconds: 5,
    without: [
      {
        what: 'the signature',
        patches: [
          { file: dhtFile, find: `  await ipnsValidator(key, value)\n`, replace: `` },
          {
            file: recordFile,
            find: `(await publicKey.verify(signed, record.signatureV2))`,
            replace: `(await publicKey.verify(signed, record.signatureV2), true)`,
          },
        ],
      },
      {
        what: 'the seal',
        patches: [
          {
            file: recordFile,
            find: `suite.open(sealingKey(suite, keys, nonce), sealed, associatedData(sequence))`,
            replace: `suite.open(sealingKey(suite, keys, nonce), sealed, associatedData(sequence)) ?? sealed.slice(0, plaintextLength)`,
          },
        ],
      },
      {
        what: 'the limits on what a record holds, and on what is dialled',
        patches: [
          noRecordCapInDht,
          { file: recordFile, find: `  if (encoded.length > maxRecordLength) return null\n`, replace: `` },
          {
            file: recordFile,
            find: `if (bytes.length !== 1 + recordNonceLength + plaintextLength + sealLength) return null`,
            replace: ``,
          },
          { file: recordFile, find: `v.maxLength(maxRecordAddresses)`, replace: `v.maxLength(10_000)` },
          { file: filterFile, find: `    if (kept.size === limit) break\n`, replace: `` },
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `const maxAddressesPerPeer = 16`,
            replace: `const maxAddressesPerPeer = 10_000`,
          },
          {
            file: 'src/network/host/host-dials.ts',
            find: `const maxAddressesPerPeer = 16`,
            replace: `const maxAddressesPerPeer = 10_000`,
          },
        ],
      },
    ],
  },
  {
    row: 20,
    title: 'an honest server keeps no record that is longer than one may be, although its signature is right',
    attack: storeHugeRecord,
    without: [
      {
        what: 'the limit on the length',
        patches: [
          noRecordCapInDht,
          {
            file: 'src/network/dht/record-store.ts',
            find: `  if (value.length > maxRecordLength) throw new Error('the record is too large')\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 20,
    title: 'of 1,000 invented DHT nodes that each answer names a few are dialled, and the words still work',
    attack: invent,
    seconds: 6,
    without: [
      {
        what: 'the credit of whoever names peers',
        patches: [
          {
            file: 'src/network/dht/named-peers.ts',
            find: `(multiaddrs.length > 0 && named.admit(answerer, peer))`,
            replace: `!peer.startsWith(answerer)`,
          },
          {
            file: 'src/network/dht/members.ts',
            find: `      if (kept.size === maxNamedByOne) break\n`,
            replace: ``,
          },
          {
            file: 'src/network/dht/members.ts',
            find: `      if (isNew && others.size + kept.size >= maxNamedInAll) continue\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 20,
    title: 'of the outer addresses in a record, which are dialled for a long time, four are',
    attack: listOuter,
    seconds: 4,
    without: [
      {
        what: 'the limit for a peer',
        patches: [
          {
            file: 'src/network/relay/outer-dials.ts',
            find: ` || ofPeer >= maxOfPeer`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 21,
    title: 'an older valid record does not replace the newer one, and the words lead to where that says',
    attack: rollBack,
    seconds: 6,
    without: [
      {
        what: 'the comparison with what is stored',
        patches: [
          {
            file: 'src/network/dht/record-store.ts',
            find: `if (stored !== null && ipnsSelector(candidate.key, [candidate.value, stored.value]) === 1) {`,
            replace: `if (false) {`,
          },
        ],
      },
    ],
  },
  {
    row: 22,
    title: "a record that lists the reader's own machine, its link or its cloud has nothing there dialled",
    attack: listForbidden,
    seconds: 3,
    without: [
      {
        what: 'the filter of loopback addresses',
        patches: [
          {
            file: filterFile,
            find: `return kind === 'loopback' ? allowLoopback :`,
            replace: `return kind === 'loopback' ? true :`,
          },
        ],
      },
      {
        what: 'the filter of link-local, metadata and embedded addresses',
        patches: [
          {
            file: filterFile,
            find: `!['never', 'link-local', 'embedded'].includes(kind)`,
            replace: `true`,
          },
          {
            file: filterFile,
            find: `return kind === null || kind === 'never'`,
            replace: `return kind === null`,
          },
        ],
      },
    ],
  },
  {
    row: 22,
    title:
      "a node of the public DHT that names the reader's machine, its network or a socket has nothing there dialled",
    attack: nameForbidden,
    seconds: 6,
    without: [
      {
        what: 'the choice of addresses that mean the same everywhere',
        patches: [
          {
            file: 'src/network/public/throwaway-host.ts',
            find: `privateAddresses ? tcp() : publicTcp(hostsOf(bootstrap))`,
            replace: `tcp()`,
          },
        ],
      },
      {
        what: 'the look at where a name leads',
        patches: [
          {
            file: 'src/network/public/public-tcp.ts',
            find: `isPublicClass(classOfIp(address)) && !isOnLink(address)`,
            replace: `classOfIp(address) !== 'never'`,
          },
        ],
      },
    ],
  },
  {
    row: 22,
    title: 'whoever answers at an address of the record is asked nothing unless it is the peer of the record',
    attack: answerForAnother,
    seconds: 3,
    without: [
      {
        what: 'the peer id in what is dialled',
        patches: [
          {
            file: 'src/network/host/host-dials.ts',
            find: '  return /\\/p2p\\/[^/]+$/u.test(address) ? address : `${address}${suffix}`',
            replace: '  return suffix === address ? suffix : address',
          },
          {
            file: 'src/network/host/host-dials.ts',
            find: `      .filter((address) => address.endsWith(suffix))\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
]

/** A network of the loopback range where nobody listens. */
const nowhere = '127.66'
/** A device may dial 16 addresses of one peer. */
const maxDialsOfOneRecord = 16

async function poison(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const keys = recordKeysOf(invitation.words)
  const routingKey = await routingKeyOf(keys)
  const to = (place: string, count: number) => ({
    peer: alice.peerId,
    addresses: Array.from({ length: count }, (_, at) => `/ip4/${nowhere}.${place}.${at & 255}/tcp/${1 + at}`),
  })
  const otherSigner = { ...keys, signingSeed: new Uint8Array(randomBytes(32)) }
  // Each of these would be the newest: only that it is not right can keep it from being used.
  const poisons = [
    await honestRecord(otherSigner, to('1', 2), 100n),
    await unsealedRecord(keys, to('2', 2), 101n),
    // The most that the IPNS format itself lets pass, and what it does not.
    await oversizedRecord(keys, to('3', 250), 102n),
    await oversizedRecord(keys, to('3', 1_000), 103n),
    new Uint8Array(10 * 1_024).fill(0x42),
  ]
  const hostile = await Promise.all(poisons.map((value) => hostileServer(scene, () => ({ value }))))
  const { address } = await rendezvousServer(scene)
  const bob = await scene.node('bob', { rendezvous: [address, ...hostile.map((each) => each.address)] })
  const enough = new AbortController()
  const joining = tryJoin(bob, invitation.words, [], { timeoutMs: 60_000, signal: enough.signal })
  // A second question shows that the answers to the first have been looked at. Whoever believes one of them may ask the others no
  // more.
  const questions = ({ overheard }: HostileDht): number =>
    overheard.filter((heard) => heard.value === null && Buffer.compare(heard.routingKey, routingKey) === 0)
      .length
  const areAllAskedAgain = (): boolean => hostile.every((each) => questions(each) >= 2)
  await until(
    () => areAllAskedAgain() || dialsTo(dials, `${nowhere}.`) > 0,
    'bob asks them all again',
    45_000,
  )
  const content = { peer: alice.peerId, addresses: [bareAddressOf(alice)] }
  const writer = hostile[0]
  await writer?.put(address, routingKey, await honestRecord(keys, content, 1n))
  const dialled = (): number[] => ['1', '2', '3'].map((place) => dialsTo(dials, `${nowhere}.${place}.`))
  if (dialsTo(dials, `${nowhere}.`) > 0) {
    const isVerdictOut = (): boolean => {
      const [unsigned = 0, unsealed = 0, many = 0] = dialled()
      return unsigned > 0 || unsealed > 0 || many > maxDialsOfOneRecord
    }
    await until(isVerdictOut, 'bob dials what he believes', 20_000)
    enough.abort()
  }
  const outcome = outcomeOf(await joining)
  const [unsigned, unsealed, many] = dialled()
  return unless(
    {
      'the addresses of a record with another signer are dialled': unsigned !== 0,
      'the addresses of a record that is not sealed are dialled': unsealed !== 0,
      [`${many} addresses of one record are dialled`]: (many ?? 0) > maxDialsOfOneRecord,
      [`the join ends with ${outcome}`]: outcome !== 'paired',
    },
    `none of their addresses is dialled, and the honest record pairs`,
  )
}

async function listOuter(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  const { address } = await rendezvousServer(scene)
  const mallory = await hostileServer(scene, () => ({}))
  const alice = await scene.node('alice')
  const bob = await scene.node('bob', { rendezvous: [address] })
  const { words } = await alice.pair()
  const keys = recordKeysOf(words)
  const addresses = Array.from({ length: 12 }, (_, at) => `/ip4/20.3.4.${at}/tcp/999/tcp/999`)
  const record = await honestRecord(keys, { peer: fakePeerId(), addresses }, 1n)
  await mallory.put(address, await routingKeyOf(keys), record)
  const joining = tryJoin(bob, words, [], { timeoutMs: 6_000 })
  await until(() => dialsTo(dials, '20.3.4.') > 0, 'one is dialled', 5_000)
  await joining
  const dialled = new Set(dials.filter((dial) => dial.startsWith('20.3.4.'))).size
  return unless({ [`${dialled} are dialled`]: dialled > 4 }, `${dialled} of 12 are dialled`)
}

async function storeHugeRecord(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const mallory = await hostileServer(scene, () => ({}))
  const keys = { signingSeed: new Uint8Array(randomBytes(32)), recordKey: new Uint8Array(randomBytes(32)) }
  const routingKey = await routingKeyOf(keys)
  const content = { peer: mallory.peerId, addresses: [`/ip4/${nowhere}.0.1/tcp/1`] }
  const huge = {
    peer: mallory.peerId,
    addresses: Array.from({ length: 250 }, (_, at) => `/ip4/10.0.0.1/tcp/${at}`),
  }
  await mallory.put(address, routingKey, await honestRecord(keys, content, 1n))
  const small = await mallory.get(address, routingKey)
  if (small === null) throw new Error('the server keeps nothing at all')
  await mallory.put(address, routingKey, await oversizedRecord(keys, huge, 2n))
  const kept = await mallory.get(address, routingKey)
  const size = kept?.length ?? 0
  return unless({ [`it keeps ${size} bytes`]: size > 2_048 }, `it keeps the small one, ${size} bytes`)
}

async function invent(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  let invented = 0
  const answer = (): HostileAnswer => ({
    closer: Array.from({ length: 1_000 }, () => {
      invented += 1
      return {
        peer: fakePeerId(),
        addresses: [`/ip4/${nowhere}.${(invented >> 8) & 255}.${invented & 255}/tcp/9`],
      }
    }),
  })
  const { address } = await rendezvousServer(scene)
  const hostile = await hostileServer(scene, answer)
  const rendezvous = [hostile.address, address]
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => scene.node(name, { rendezvous })))
  if (alice === undefined || bob === undefined) throw new Error('there are two nodes')
  const startedAt = performance.now()
  const invitation = await alice.pair()
  const outcome = outcomeOf(await tryJoin(bob, invitation.words, [], { timeoutMs: 30_000 }))
  // What a single question led to is over now, without the bound it is not.
  await pause(2_000)
  const dialled = dialsTo(dials, `${nowhere}.`)
  // Eight in a minute of whatever one node names, by each of the two devices.
  const minutes = 1 + Math.ceil((performance.now() - startedAt) / 60_000)
  return unless(
    {
      [`${dialled} of ${invented} invented peers are dialled`]: dialled > 2 * 8 * minutes,
      [`the join ends with ${outcome}`]: outcome !== 'paired',
      'no peer was invented': invented < 2_000,
    },
    `${dialled} of ${invented} are dialled by two devices, which pair`,
  )
}

async function rollBack(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const mallory = await hostileServer(scene, () => ({}))
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const keys = recordKeysOf(invitation.words)
  const routingKey = await routingKeyOf(keys)
  const before = { peer: alice.peerId, addresses: [`/ip4/${nowhere}.0.1/tcp/1`] }
  const now = { peer: alice.peerId, addresses: [bareAddressOf(alice)] }
  const old = await honestRecord(keys, before, 1n)
  await mallory.put(address, routingKey, old)
  if (!same(await mallory.get(address, routingKey), old)) throw new Error('the server takes no record')
  const newest = await honestRecord(keys, now, 5n)
  await mallory.put(address, routingKey, newest)
  await mallory.put(address, routingKey, old)
  const bob = await scene.node('bob', { rendezvous: [address] })
  const outcome = outcomeOf(await tryJoin(bob, invitation.words, [], { timeoutMs: 6_000 }))
  return unless(
    {
      [`the join ends with ${outcome}`]: outcome !== 'paired',
      'the server hands out the old record': !same(await mallory.get(address, routingKey), newest),
    },
    'the server keeps the newer one; the words pair',
  )
}

async function listForbidden(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const dials = recordDials()
  let visitors = 0
  const local = createServer(() => (visitors += 1))
  await new Promise<void>((resolve) => local.listen(0, '127.0.0.1', resolve))
  scene.after(() => void local.close())
  const { port } = local.address() as AddressInfo
  const mallory = await hostileServer(scene, () => ({}))
  pretendToHaveACard('card0')
  const bob = await scene.node('bob', { interfaces: ['card0'], rendezvous: [address] })
  const alice = await scene.node('alice', { interfaces: ['card0'] })
  const invitation = await alice.pair()
  const keys = recordKeysOf(invitation.words)
  const elsewhere = '203.0.113.9'
  const forbidden = [
    '169.254.169.254',
    '169.254.7.7',
    '100.100.100.200',
    'fe80::1',
    'fd00:ec2::254',
    '0.0.0.0',
  ]
  const hosts = ['127.0.0.1', '::1', '::ffff:7f00:1', ...forbidden, elsewhere]
  const addresses = hosts.map((host) => `/ip${host.includes(':') ? 6 : 4}/${host}/tcp/${port}`)
  const record = await honestRecord(keys, { peer: fakePeerId(), addresses }, 1n)
  await mallory.put(address, await routingKeyOf(keys), record)
  const joining = tryJoin(bob, invitation.words, [], { timeoutMs: 4_000 })
  await until(() => dials.includes(`${elsewhere}:${port}`), 'the address that may be dialled is', 4_000)
  await joining
  const dialled = dials.filter((dial) => dial.endsWith(`:${port}`) && dial !== `${elsewhere}:${port}`)
  return unless(
    {
      'a service of its own machine has a visitor': visitors > 0,
      [`dialled: ${[...new Set(dialled)].join(', ')}`]: dialled.length > 0,
    },
    `of ${hosts.length} addresses one is dialled, ${elsewhere}`,
  )
}

async function nameForbidden(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  let visitors = 0
  const serve = async (at: { host: string; port: number } | { path: string }): Promise<Server> => {
    const local = createServer((socket) => {
      visitors += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => local.listen(at, resolve))
    scene.after(() => void local.close())
    return local
  }
  const local = await serve({ host: '127.0.0.1', port: 0 })
  const { port } = local.address() as AddressInfo
  const path = join(scene.directory(), 'socket')
  await serve({ path })
  const elsewhere = '20.3.4.77'
  const neighbour = '192.168.77.7'
  const closer = (): InventedPeer[] =>
    Array.from({ length: 20 }, () => ({
      peer: fakePeerId(),
      addresses: [
        `/unix/${encodeURIComponent(path)}`,
        `/dns4/localhost/tcp/${port}`,
        `/ip4/127.0.0.1/tcp/${port}`,
        `/ip4/${neighbour}/tcp/${port}`,
        `/ip4/${elsewhere}/tcp/${port}`,
      ],
    }))
  const listen = [`/ip4/127.66.9.9/tcp/${await chooseRandomPort()}`]
  const hostile = await HostileDht.start({
    answer: () => ({ closer: closer() }),
    protocol: publicDhtProtocol,
    listen,
    // Where it says that it is: anybody may believe it who comes back.
    create: { addresses: { listen, announce: [`/ip4/${neighbour}/tcp/${port}`, `/ip4/${elsewhere}/tcp/1`] } },
  })
  scene.after(() => hostile.stop())
  // Public nodes are among those by which it enters, so private ones do not count.
  const bootstrap = [`${listen[0]}/p2p/${hostile.peerId}`, `/ip4/${elsewhere}/tcp/2/p2p/${fakePeerId()}`]
  const alice = await scene.node('alice', { dht: 'public', dhtBootstrap: bootstrap })
  await alice.pair()
  await until(() => dials.includes(`${elsewhere}:${port}`), 'the address that may be dialled is', 10_000)
  await pause(2_000)
  const inside = dials.filter((dial) => dial.startsWith(neighbour) || /^(?:127\.0|::1)/u.test(dial))
  return unless(
    {
      'a service of its own machine has a visitor': visitors > 0,
      [`dialled: ${[...new Set(inside)].join(', ')}`]: inside.some((dial) => dial.endsWith(`:${port}`)),
    },
    `of five addresses of each peer one is dialled, ${elsewhere}`,
  )
}

async function answerForAnother(scene: Scene): Promise<Verdict> {
  const dials = recordDials()
  const { address } = await rendezvousServer(scene)
  const mallory = await scene.rawPeer()
  let asked = 0
  await mallory.serve(() => {
    asked += 1
    return null
  })
  const writer = await hostileServer(scene, () => ({}))
  const alice = await scene.node('alice')
  const bob = await scene.node('bob', { rendezvous: [address] })
  const invitation = await alice.pair()
  const keys = recordKeysOf(invitation.words)
  const [bare = ''] = mallory.address.split('/p2p/')
  const port = bare.split('/').at(-1) ?? ''
  const record = await honestRecord(keys, { peer: alice.peerId, addresses: [bare] }, 1n)
  await writer.put(address, await routingKeyOf(keys), record)
  await tryJoin(bob, invitation.words, [], { timeoutMs: 3_000 })
  const dialled = dials.filter((dial) => dial.endsWith(`:${port}`)).length
  if (dialled === 0) throw new Error('the address of the record is not dialled')
  return unless({ 'somebody else is asked': asked > 0 }, `dialled ${dialled} times, asked nothing`)
}

async function hostileServer(
  scene: Scene,
  answer: (routingKey: Uint8Array) => HostileAnswer,
): Promise<HostileDht> {
  const server = await HostileDht.start({ answer })
  scene.after(() => server.stop())
  return server
}

function dialsTo(dials: readonly string[], prefix: string): number {
  return dials.filter((dial) => dial.startsWith(prefix)).length
}

function bareAddressOf(node: Parameters<typeof addressOf>[0]): string {
  return addressOf(node).split('/p2p/')[0] ?? ''
}

function same(one: Uint8Array | null, other: Uint8Array): boolean {
  return one !== null && Buffer.compare(one, other) === 0
}
