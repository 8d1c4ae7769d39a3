import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { MulticastDns } from '../../../../src/network/discovery/mdns/mdns.ts'
import type { MdnsOptions, MdnsStatus, Sighting } from '../../../../src/network/discovery/mdns/mdns.ts'
import type { Packet } from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import type { Clock } from '../../../../src/api.ts'
import { systemClock } from '../../../../src/clock.ts'
import { wire } from './simulated-lan.ts'
import type { PeerId } from '../../../../src/pairing/peer-id.ts'
import { asPeer } from '../../../peers.ts'

const deadlineMs = 20_000

interface Device {
  mdns: MulticastDns
  peerId: PeerId
  sightings: Sighting[]
  lost: string[]
  twins: string[]
  statuses: MdnsStatus[]
  until(met: () => boolean, what: string): Promise<void>
}

async function device(port: number, options: Partial<MdnsOptions> = {}): Promise<Device> {
  const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
  const sightings: Sighting[] = []
  const lost: string[] = []
  const twins: string[] = []
  const statuses: MdnsStatus[] = []
  const checks = new Set<() => void>()
  const listener = {
    sighted: (sighting: Sighting) => record(sightings, sighting),
    lost: (gone: PeerId) => record(lost, gone),
    ownPeerAnnounced: (address: string) => record(twins, address),
    statusChanged: (status: MdnsStatus) => record(statuses, status),
  }
  const mdns = new MulticastDns(listener, {
    host: { peerId: asPeer(peerId), listening: () => [multiaddr('/ip4/0.0.0.0/tcp/4001')] },
    port,
    interfaces: ['lo'],
    list: () => ({ lo: loopback() }),
    ...options,
  })
  const until = async (met: () => boolean, what: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const test = () => (met() ? resolve() : undefined)
    checks.add(test)
    const timer = setTimeout(() => reject(new Error(`in vain: ${what}`)), deadlineMs)
    test()
    await promise.finally(() => {
      clearTimeout(timer)
      checks.delete(test)
    })
  }
  return { mdns, peerId: asPeer(peerId), sightings, lost, twins, statuses, until }

  function record<T>(list: T[], item: T): void {
    list.push(item)
    for (const each of checks) each()
  }
}

/** Alice and Bob, on a port of their own unless they are given one; stopped at the end. */
async function twoDevices(options: Partial<MdnsOptions> = {}) {
  const port = options.port ?? (await freePort())
  const alice = await device(port, options)
  const bob = await device(port, options)
  await Promise.all([alice.mdns.start(), bob.mdns.start()])
  return {
    alice,
    bob,
    [Symbol.asyncDispose]: async () => void (await Promise.all([alice.mdns.stop(), bob.mdns.stop()])),
  }
}

function loopback() {
  const found = Object.values(networkInterfaces()).find((infos) => infos?.some(({ internal }) => internal))
  assert.ok(found, 'this machine has no loopback interface')
  return found
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

/** Time that runs faster: what takes the real one two seconds is over in a tenth. */
const hasty: Clock = {
  monotonic: () => performance.now() * 20,
  wall: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs / 20)
    return () => clearTimeout(timer)
  },
}

const saw = (one: Device, other: Device) => () => one.sightings.some(({ peerId }) => peerId === other.peerId)

test('two devices find each other on loopback, in both directions, on the shared port of mDNS', async () => {
  await using two = await twoDevices({ port: 5353 })
  const { alice, bob } = two
  await alice.until(saw(alice, bob), 'Bob seen')
  await bob.until(saw(bob, alice), 'Alice seen')
  const [sighting] = alice.sightings.filter(({ peerId }) => peerId === bob.peerId)
  assert.deepEqual(sighting?.addresses, [`/ip4/127.0.0.1/tcp/4001/p2p/${bob.peerId}`])
  assert.equal(sighting?.interface, 'lo')
  assert.ok(bob.mdns.peers().some(({ peerId }) => peerId === alice.peerId))
  await alice.until(() => alice.statuses.some(({ state }) => state === 'ready'), 'ready')
  assert.ok(!saw(alice, alice)(), 'Alice did not see herself')
})

test('another machine that announces the same peer id is told of, and nobody takes himself for one', async () => {
  const port = await freePort()
  const peerId = asPeer(peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString())
  const host = { peerId, listening: () => [multiaddr('/ip4/0.0.0.0/tcp/4001')] }
  const [one, other] = [await device(port, { host }), await device(port, { host })]
  await one.mdns.start()
  one.mdns.announce()
  const bob = await device(port)
  await bob.mdns.start()
  await bob.until(() => bob.sightings.some((sighting) => sighting.peerId === peerId), 'the first seen')
  assert.deepEqual(one.twins, [])
  await other.mdns.start()
  await one.until(() => one.twins.includes('127.0.0.1'), 'the second seen by the first')
  await other.until(() => other.twins.includes('127.0.0.1'), 'the first seen by the second')
  await Promise.all([one, other, bob].map(({ mdns }) => mdns.stop()))
})

test('a device that stops is lost at once; started again it is another name and found again', async () => {
  await using two = await twoDevices()
  const { alice, bob } = two
  await alice.until(saw(alice, bob), 'Bob seen')
  await bob.mdns.stop()
  await alice.until(() => alice.lost.includes(bob.peerId), 'Bob lost')
  assert.deepEqual(alice.mdns.peers(), [])
  alice.sightings.length = 0
  await bob.mdns.start()
  await alice.until(saw(alice, bob), 'Bob seen again')
})

test('an announcement is a new sighting for those who know the device already', async () => {
  await using two = await twoDevices({ clock: hasty })
  const { alice, bob } = two
  await alice.until(() => alice.sightings.length >= 2, 'announcement and its repetition')
  const before = alice.sightings.length
  bob.mdns.announce()
  await alice.until(() => alice.sightings.length > before, 'seen again')
})

test('a refresh makes those already known answer again', async () => {
  await using two = await twoDevices({ clock: hasty })
  const { alice } = two
  await alice.until(() => alice.sightings.length >= 2, 'announcement and its repetition')
  const before = alice.sightings.length
  alice.mdns.refresh()
  await alice.until(() => alice.sightings.length > before, 'Bob answered')
})

test('an interface that comes up later is used, one that goes is reported and forgotten', async () => {
  const port = await freePort()
  let up = false
  const bob = await device(port)
  const alice = await device(port, { list: () => (up ? { lo: loopback() } : {}), scanIntervalMs: 5 })
  await bob.mdns.start()
  await alice.mdns.start()
  try {
    up = true
    await alice.until(saw(alice, bob), 'Bob seen')
    await bob.until(saw(bob, alice), 'Alice seen')
    up = false
    await alice.until(() => alice.lost.includes(bob.peerId), 'Bob lost')
    await alice.until(() => alice.statuses.at(-1)?.state === 'gone', 'gone')
  } finally {
    await Promise.all([alice.mdns.stop(), bob.mdns.stop()])
  }
})

test('an interface that the system refuses does not keep another from working', async () => {
  const port = await freePort()
  const nowhere = {
    address: '192.0.2.77',
    netmask: '255.255.255.0',
    family: 'IPv4' as const,
    mac: '',
    internal: false,
  }
  const options: Partial<MdnsOptions> = {
    interfaces: ['bad0', 'lo'],
    list: () => ({ bad0: [{ ...nowhere, cidr: '192.0.2.77/24' }], lo: loopback() }),
  }
  const alice = await device(port, options)
  const bob = await device(port)
  await Promise.all([alice.mdns.start(), bob.mdns.start()])
  try {
    await alice.until(saw(alice, bob), 'Bob seen')
    await bob.until(saw(bob, alice), 'Alice seen')
    const failure = () => alice.statuses.find((status) => status.interface === 'bad0')
    await alice.until(() => failure() !== undefined, 'a status of bad0')
    assert.equal(failure()?.state, 'unavailable')
  } finally {
    await Promise.all([alice.mdns.stop(), bob.mdns.stop()])
  }
})

test('where our own packets do not come back, multicast is reported as blocked', async () => {
  // Nothing that arrives is from this interface's network, as if a firewall had dropped it.
  const swallowed = loopback().map((info) => ({
    ...info,
    cidr: info.family === 'IPv4' ? '192.0.2.1/32' : '2001:db8::/128',
  }))
  const alice = await device(await freePort(), { list: () => ({ lo: swallowed }), clock: hasty })
  await alice.mdns.start()
  try {
    await alice.until(() => alice.statuses.length > 0, 'a status')
    const [status] = alice.statuses
    assert.ok(status?.state === 'unavailable' && status.reason === 'blocked')
    assert.match(status.detail, /firewall/)
  } finally {
    await alice.mdns.stop()
  }
})

test('a port that another program keeps for itself is reported; once it is free, the device introduces itself', async () => {
  const observer = createSocket({ type: 'udp4', reuseAddr: true })
  const hog = createSocket({ type: 'udp4', reuseAddr: false }).bind(0)
  await once(hog, 'listening')
  const ipv4 = loopback().filter(({ family }) => family === 'IPv4')
  const alice = await device(hog.address().port, { list: () => ({ lo: ipv4 }), clock: hasty })
  await alice.mdns.start()
  try {
    await alice.until(() => alice.statuses.length > 0, 'a status')
    const [status] = alice.statuses
    assert.ok(status?.state === 'unavailable' && status.reason === 'error')
    assert.match(status.detail, /another program/)
    const { port } = hog.address()
    hog.close()
    await once(hog, 'close')
    const announced = new Promise((resolve) => {
      observer.on('message', (bytes) => {
        if (wire.decode(bytes).type === 'response') resolve(undefined)
      })
    })
    observer.bind(port, () => observer.addMembership('224.0.0.251', '127.0.0.1'))
    await alice.until(() => alice.statuses.some(({ state }) => state === 'ready'), 'ready')
    await Promise.race([
      announced,
      delay(deadlineMs, undefined, { ref: false }).then(() => assert.fail('no word')),
    ])
  } finally {
    observer.close()
    await alice.mdns.stop()
  }
})

test('hostile packets neither end it nor make it remember more than a thousand peers', async () => {
  const port = await freePort()
  // On its clock, a sender has not sent more than is read of it.
  const alice = await device(port, {
    random: () => 0,
    clock: { ...systemClock, monotonic: () => hasty.monotonic() },
  })
  await alice.mdns.start()
  const stranger = createSocket({ type: 'udp4', reuseAddr: true }).bind(0, '127.0.0.1')
  await once(stranger, 'listening')
  try {
    const introduce = async (label: string) => {
      const before = alice.sightings.length
      const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
      await sendTo(stranger, wire.encode(claim(label, asPeer(peerId), 4_000)), port)
      // Also keeps the socket's buffer from running over.
      await alice.until(() => alice.sightings.length > before, `${label} seen`)
    }
    for (const [index, bytes] of fc.sample(fc.uint8Array({ maxLength: 300 }), 1_000).entries()) {
      await sendTo(stranger, bytes, port)
      if (index % 20 === 0) await introduce(`fuzz${index}`)
    }
    for (let index = 0; index < 1_050; index++) await introduce(`p${index}`)
    assert.equal(alice.mdns.peers().length, 1_000)
    assert.equal(alice.lost.length, 100)
    await sendTo(stranger, wire.encode(claim('mirror', alice.peerId)), port)
    const bob = await device(port)
    await bob.mdns.start()
    await alice.until(saw(alice, bob), 'Bob seen')
    assert.ok(!saw(alice, alice)())
    await bob.mdns.stop()
  } finally {
    stranger.close()
    await alice.mdns.stop()
  }
})

test('a short-lived record expires, and starting and stopping twice does no harm', async () => {
  const port = await freePort()
  const alice = await device(port, { clock: hasty })
  await Promise.all([alice.mdns.start(), alice.mdns.start()])
  const stranger = createSocket('udp4').bind(0, '127.0.0.1')
  await once(stranger, 'listening')
  const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
  try {
    await sendTo(stranger, wire.encode(claim('brief', asPeer(peerId), 1)), port)
    await alice.until(() => alice.lost.includes(peerId), 'expired')
  } finally {
    stranger.close()
    await Promise.all([alice.mdns.stop(), alice.mdns.stop()])
  }
})

function claim(label: string, peerId: PeerId, ttl = 120): Packet {
  const name = `${label}._p2p._udp.local`
  return {
    type: 'response',
    answers: [{ name: '_p2p._udp.local', type: 'PTR', ttl, data: name }],
    additionals: [{ name, type: 'TXT', ttl, data: [`dnsaddr=/ip4/127.0.0.1/tcp/4001/p2p/${peerId}`] }],
  }
}

async function sendTo(socket: Socket, bytes: Uint8Array, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(bytes, port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error)))
  })
}
