import { networkInterfaces } from 'node:os'
import { base64urlnopad } from '@scure/base'
import { unmarshalIPNSRecord } from 'ipns'
import multicastDns from 'multicast-dns'
import type { NodeOptions } from '../../src/index.ts'
import { publicDhtProtocol } from '../../src/network/dht/dht-protocols.ts'
import { presenceEpochMs } from '../../src/pairing/presence-keys.ts'
import { HostileDht, type Overheard } from './hostile-dht.ts'
import { pairNodes, pause, until, type Scene } from './scene.ts'
import { SteeredClock } from './steered-clock.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threat 38: somebody who wants to know whether a device of today is the one of yesterday. */
export const threats: Threat[] = [
  {
    row: 38,
    title: 'in the public DHT, nothing that a device writes in one epoch is in what it writes in the next',
    attack: followInDht,
    seconds: 8,
    without: [
      {
        what: 'keys for each epoch',
        patches: [
          {
            file: 'src/pairing/presence-chain.ts',
            find: `step < steps; step++`,
            replace: `step < 0; step++`,
          },
        ],
      },
      {
        what: 'an identity for each epoch',
        patches: [
          {
            file: 'src/node/internet.ts',
            find: `onEpoch: () => this.#renewIdentity()`,
            replace: `onEpoch: () => {}`,
          },
        ],
      },
      {
        what: 'the seal',
        patches: [
          {
            file: 'src/pairing/address-record.ts',
            find: `const sealed = suite.seal(sealingKey(suite, keys, nonce), padded(content), associatedData(sequence))`,
            replace: `const sealed = padded(content)`,
          },
        ],
      },
    ],
  },
  {
    row: 38,
    title: 'with multicast DNS switched off, a device says nothing on the local network',
    attack: followByMdns,
    seconds: 4,
    without: [
      {
        what: 'the switch',
        patches: [
          {
            file: 'src/node/connections.ts',
            find: `mdns ? platform.localNetwork(this, { host, interfaces, log }) : null`,
            replace: `platform.localNetwork(this, { host, interfaces, log })`,
          },
        ],
      },
    ],
  },
]

async function followInDht(scene: Scene): Promise<Verdict> {
  const clock = new SteeredClock()
  // The epoch must not end by itself meanwhile.
  clock.pass(presenceEpochMs - (clock.wall() % presenceEpochMs) + 60_000)
  const observer = await HostileDht.start({ protocol: publicDhtProtocol, answer: () => ({}) })
  scene.after(() => observer.stop())
  const options = { clock, dht: 'public', dhtBootstrap: [observer.address] } satisfies Partial<NodeOptions>
  const alice = await scene.node('alice of Wonderland', options)
  const bob = await scene.node('bob', options)
  await pairNodes(alice, bob)
  const written = (): Overheard[] => observer.overheard.filter(({ value }) => value !== null)
  await until(() => new Set(written().map(keyOf)).size >= 2, 'both write a record', 20_000)
  // Let both settle, and wait for their next occasion.
  await pause(1_500)
  const first = written()

  // One step before, one over the edge, and one for whoever writes a while later.
  clock.pass(presenceEpochMs - (clock.wall() % presenceEpochMs) - 1_000)
  await pause(1_500)
  const yesterday = written()
  const heard = observer.overheard.length
  clock.pass(1_000)
  await pause(1_500)
  clock.pass(125_000)
  await until(() => written().length >= yesterday.length + 2, 'both write a record again', 20_000)
  const before = yesterday
  const after = observer.overheard.slice(heard).filter(({ value }) => value !== null)

  const sharedKeys = common(before.map(keyOf), after.map(keyOf))
  const sharedWriters = common(
    before.map(({ peer }) => peer),
    after.map(({ peer }) => peer),
  )
  const sharedBytes = common(before.flatMap(windowsOf), after.flatMap(windowsOf))
  const inClear = [alice.peerId, bob.peerId, alice.id, bob.id, 'alice of Wonderland', '/ip4/'].filter(
    (name) => written().some(({ value }) => rawOf(value).includes(name)),
  )
  const own = [alice.peerId, bob.peerId].filter((peer) =>
    observer.overheard.some((each) => each.peer === peer),
  )
  return unless(
    {
      'a record is at the same key': sharedKeys.length > 0,
      'the same peer writes': sharedWriters.length > 0,
      "a device's own peer id writes or asks": own.length > 0,
      [`in clear: ${inClear.join(', ')}`]: inClear.length > 0,
      'records have bytes in common': sharedBytes.length > 0,
    },
    `${first.length} records, then ${after.length}: other keys, other writers, no 8 bytes in common`,
  )
}

/** Its place in the DHT. */
function keyOf({ routingKey }: Overheard): string {
  return Buffer.from(routingKey).toString('hex')
}

/** All that is in the value and the signature of a record, and nothing of the format around it. */
function rawOf(value: Uint8Array | null): Buffer {
  if (value === null) return Buffer.alloc(0)
  const { value: text, signatureV2 } = unmarshalIPNSRecord(value)
  return Buffer.concat([base64urlnopad.decode(text.slice(1)), signatureV2])
}

function windowsOf({ value }: Overheard): string[] {
  const raw = rawOf(value)
  return Array.from({ length: Math.max(0, raw.length - 7) }, (_, at) => raw.toString('hex', at, at + 8))
}

function common(some: readonly string[], others: readonly string[]): string[] {
  const known = new Set(some)
  return [...new Set(others.filter((each) => known.has(each)))]
}

async function followByMdns(scene: Scene): Promise<Verdict> {
  const host =
    (networkInterfaces()['lo'] ?? []).find(({ family }) => family === 'IPv4')?.address ?? '127.0.0.1'
  const mdns = multicastDns({ interface: host, bind: '0.0.0.0', loopback: true, reuseAddr: true })
  scene.after(() => mdns.destroy())
  const heard: string[] = []
  mdns.on('response', ({ answers, additionals }) =>
    heard.push(JSON.stringify([answers, additionals], asText)),
  )
  const isHeard = (peerId: string): boolean => heard.some((packet) => packet.includes(peerId))
  const quiet = await scene.node('quiet', { mdns: false })
  const loud = await scene.node('loud', { mdns: true })
  // Pairing makes a device speak up. Each of both has had the same occasions.
  await Promise.all([quiet.pair(), loud.pair()])
  await until(() => isHeard(loud.peerId), 'the other one is heard')
  const question = () => mdns.query([{ name: '_p2p._udp.local', type: 'PTR' }])
  for (let asked = 0; asked < 3; asked++) {
    question()
    await pause(500)
  }
  return unless(
    { 'its peer id is heard': isHeard(quiet.peerId) },
    `${heard.length} answers, none of them its own; that of a device beside it is heard`,
  )
}

function asText(_key: string, value: unknown): unknown {
  const isBytes = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
  return isBytes && 'data' in value ? Buffer.from(value.data as number[]).toString('latin1') : value
}
