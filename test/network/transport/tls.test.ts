import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { multiaddr } from '@multiformats/multiaddr'
import { peerIdOf } from '../../../src/libp2p-peer.ts'
import { isTls, type TlsConnection } from '../../../src/network/transport/tls-connection.ts'
import { secureAsDialer } from '../../../src/network/transport/tls-handshake.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { realHost, until } from '../real-hosts.ts'
import { impostorCertificate, impostorKey } from './impostor.ts'
import { answerTo, talkTo, TlsHost } from './tls-hosts.ts'

const key = new Uint8Array(32).fill(1)
const otherKey = new Uint8Array(32).fill(2)
const alert = 0x15
const handshake = 0x16

test('two hosts with a pair key speak TLS, with libp2p at the same port', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  pair(alice, bob)
  const dialled = await alice.dial(bob)
  assert.ok(isTls(dialled))
  const accepted = await inboundOf(bob)
  assert.equal(peerIdOf(dialled.remotePeer), bob.host.peerId)
  assert.equal(peerIdOf(accepted.remotePeer), alice.host.peerId)
  assert.deepEqual(dialled.binding, accepted.binding)
  assert.equal(dialled.socket.getProtocol(), 'TLSv1.3')
  assert.equal(dialled.socket.getPeerX509Certificate(), undefined)

  const plain = await alice.host.connect(bob.host.peerId, [bob.address], {
    signal: AbortSignal.timeout(10_000),
  })
  assert.equal(plain.status, 'open')
  await until(() => bob.host.connectionsTo(alice.host.peerId).length === 2, 'both kinds of connection')
  const closed = once(accepted.socket, 'close')
  dialled.abort(new Error('enough'))
  accepted.socket.resume()
  await closed
  assert.equal(accepted.status, 'closed')
  assert.deepEqual(bob.host.tls?.connections(), [])
})

test('every connection has a secret of its own', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  pair(alice, bob)
  const bindings = new Set<string>()
  for (let dials = 0; dials < 3; dials++) {
    const dialled = await alice.dial(bob)
    assert.ok(isTls(dialled))
    bindings.add(Buffer.from(dialled.binding).toString('hex'))
  }
  assert.equal(bindings.size, 3)
})

test('who has another key, or is not paired there, is refused, and dials by Noise in the same breath', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  alice.pairWith(bob, key)
  for (const isKnown of [false, true]) {
    if (isKnown) bob.pairWith(alice, otherKey)
    alice.pairWith(
      bob,
      Uint8Array.from(key, (byte) => byte + 7 * Number(isKnown)),
    )
    assert.equal(await alice.host.tls?.mayTry(bob.host.peerId), true)
    const dialled = await alice.dial(bob)
    assert.ok(!isTls(dialled))
    assert.equal(dialled.status, 'open')
    assert.equal(await alice.host.tls?.mayTry(bob.host.peerId), false, 'it is not asked at every dial')
  }
  assert.deepEqual(bob.inbound, [])
  // A new pairing has a new key.
  pair(alice, bob, new Uint8Array(32).fill(9))
  assert.ok(isTls(await alice.dial(bob)))
})

test('an older device closes the connection at the first bytes, and is dialled by Noise', async () => {
  await using alice = await TlsHost.start()
  const old = await realHost()
  try {
    const there = { host: { peerId: peerIdOf(old.peerId) }, address: oneOf(old.getMultiaddrs()) }
    alice.pairWith(there, key)
    const dialled = await alice.dial(there)
    assert.ok(!isTls(dialled))
    assert.equal(dialled.status, 'open')
  } finally {
    await old.stop()
  }
})

test('a port where nobody listens is told as it is, and no Noise is tried there', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  pair(alice, bob)
  const closed = { host: bob.host, address: multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${bob.host.peerId}`) }
  await assert.rejects(alice.dial(closed), (error: AggregateError) => {
    assert.deepEqual(
      error.errors.map((each: NodeJS.ErrnoException) => each.code),
      ['ECONNREFUSED'],
    )
    return true
  })
})

test('a hello that is sent again gets nothing: who has recorded it cannot ask where the device is', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  pair(alice, bob)
  // Somebody on the way, who records what passes, and lets nothing of it get lost.
  const recorded: Buffer[] = []
  const answered: Buffer[] = []
  const between = createServer((near) => {
    const { socket: far } = talkTo(bob.port)
    near.on('data', (chunk: Buffer) => recorded.push(chunk))
    far.on('data', (chunk: Buffer) => answered.push(chunk))
    near.on('error', () => {})
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(between, 'listening')
  const { port } = between.address() as { port: number }
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${bob.host.peerId}`)
  assert.ok(isTls(await alice.dial({ host: bob.host, address })))
  const [hello = Buffer.alloc(0)] = recorded
  assert.deepEqual([hello[0], answered[0]?.[0]], [handshake, handshake])
  assert.equal((await answerTo(bob.port, hello))[0], alert)
  assert.equal(bob.inbound.length, 1)
  between.close()
})

test('somebody in between with a certificate is not believed, whoever has signed it', async () => {
  await using alice = await TlsHost.start()
  await using bob = await TlsHost.start()
  pair(alice, bob)
  const impostor = createTlsServer({ key: impostorKey, cert: impostorCertificate }).listen(0, '127.0.0.1')
  await once(impostor, 'listening')
  const { port } = impostor.address() as { port: number }
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${bob.host.peerId}`)
  await assert.rejects(alice.dial({ host: bob.host, address }))
  const raw = connect(port, '127.0.0.1')
  const secret = { psk: key, identity: 'any' }
  await assert.rejects(secureAsDialer(raw, secret, { signal: AbortSignal.timeout(10_000) }), {
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  })
  impostor.close()
})

const rubbish: [name: string, bytes: Buffer][] = [
  ['a byte of a hello and nonsense', Buffer.concat([Buffer.of(handshake), Buffer.alloc(400, 0xee)])],
  [
    'a record that claims 65,535 bytes',
    Buffer.concat([Buffer.of(handshake, 3, 1, 0xff, 0xff), Buffer.alloc(70_000)]),
  ],
  [
    'a hello that claims 16 MB',
    Buffer.concat([Buffer.of(handshake, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff), Buffer.alloc(16_380)]),
  ],
  ['an old SSL hello', Buffer.from('80 2e 01 00 02 00 15'.replaceAll(' ', ''), 'hex')],
]
for (const [name, bytes] of rubbish) {
  test(`${name} ends the connection, and the port goes on`, async () => {
    await using alice = await TlsHost.start()
    await using bob = await TlsHost.start()
    pair(alice, bob)
    const { socket, answer } = talkTo(bob.port)
    socket.write(bytes)
    // What is no hello at all waits for nothing.
    if (bytes[0] !== handshake) socket.end()
    await answer
    assert.ok(isTls(await alice.dial(bob)))
  })
}

test('a handshake that is never finished, and a connection on which nothing comes, end by themselves', async () => {
  const clock = virtualClock()
  await using bob = await TlsHost.start(clock)
  const begun = talkTo(bob.port)
  begun.socket.write(Buffer.of(handshake, 3, 1))
  const silent = talkTo(bob.port)
  await Promise.all([once(begun.socket, 'connect'), once(silent.socket, 'connect')])
  const ended = new AbortController()
  void Promise.all([begun.answer, silent.answer]).then(() => ended.abort())
  // The timers start when the sockets are accepted, which the clock does not see.
  for (let passed = 0; !ended.signal.aborted; passed++) {
    await clock.pass(1_000)
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(passed < 10_000, 'they end')
  }
  assert.deepEqual([begun.socket.closed, silent.socket.closed], [true, true])
})

function pair(one: TlsHost, other: TlsHost, pairKey = key): void {
  one.pairWith(other, pairKey)
  other.pairWith(one, pairKey)
}

async function inboundOf({ inbound }: TlsHost): Promise<TlsConnection> {
  await until(() => inbound.length > 0, 'the connection')
  return inbound[0] ?? assert.fail('none')
}

function oneOf<Each>([first]: readonly Each[]): Each {
  return first ?? assert.fail('there is none')
}

/** Key and certificate of nobody, signed by themselves. */
