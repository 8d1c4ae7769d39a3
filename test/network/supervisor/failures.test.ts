import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { SpacedockError } from '../../../src/errors.ts'
import { addressDialer, type Dialer } from '../../../src/network/transport/address-race.ts'
import { linkLocalTcp } from '../../../src/network/transport/link-local-tcp.ts'
import { dialFailure, endFailure, failureCauses } from '../../../src/network/supervisor/failures.ts'
import { realHost } from '../real-hosts.ts'
import { newPeerId } from '../session/session-pair.ts'

test('what real dials fail with is told in a sentence', async () => {
  const peer = await newPeerId()
  const [host, other, silent] = await Promise.all([dialingHost(), realHost(), silentServer()])
  try {
    const { port } = silent.address() as AddressInfo
    const closed = `/ip4/127.0.0.1/tcp/${await freePort()}/p2p/${peer.toString()}`
    const stranger = String(other.getMultiaddrs()[0]).replace(other.peerId.toString(), peer.toString())
    const noAnswer = `/ip4/127.0.0.1/tcp/${port}/p2p/${peer.toString()}`
    const table: [addresses: string[], code: string, message: string][] = [
      [[closed], 'offline', 'Spacedock does not run at its address.'],
      [[closed, closed], 'offline', 'Spacedock does not run at any of its 2 addresses.'],
      [[stranger], 'offline', 'Another device answers at its address.'],
      [[closed, stranger], 'offline', 'No answer at any of its 2 addresses.'],
      [[noAnswer], 'offline', 'No answer at its address.'],
    ]
    for (const [addresses, code, message] of table) {
      const options = { signal: AbortSignal.timeout(300) }
      const failure = await host.dialer
        .dial(
          addresses.map((address) => multiaddr(address)),
          (_address, plain, more) => plain(more),
          options,
        )
        .then(
          () => assert.fail('it answered'),
          (error: unknown) => dialFailure(error, addresses.length),
        )
      assert.deepEqual({ code: failure.code, message: failure.message }, { code, message })
      assert.equal(failureCauses(failure).length, addresses.length)
    }
  } finally {
    silent.close()
    await Promise.all([host.stop(), other.stop()])
  }
})

test('without any network that is said, and what is a sentence for people stays as it is', () => {
  const offline = dialFailure(new AggregateError([unreachable(), unreachable(), unreachable()]), 3)
  assert.equal(offline.code, 'no-network')
  assert.equal(offline.message, 'No network of this device leads to any of its 3 addresses.')
  const wrapped = new AggregateError([new Error('dial', { cause: unreachable() })])
  assert.equal(dialFailure(wrapped, 1).code, 'no-network')
  const late = new SpacedockError('timed-out', 'The device did not answer in time.')
  assert.equal(dialFailure(late, 3).message, 'No answer at any of its 3 addresses.')
  const unknown = new SpacedockError('offline', 'No address of the device is known.')
  assert.equal(dialFailure(unknown, 0), unknown)
})

test('every end of a session but our own has a reason that a person can read', () => {
  const cause = new Error('read ECONNRESET\n    at TCP.onStreamRead')
  assert.equal(endFailure({ reason: 'closed' }), null)
  for (const end of [
    { reason: 'remote-closed' },
    { reason: 'silent' },
    { reason: 'interrupted', cause },
    { reason: 'violation', cause },
    { reason: 'aborted', cause },
  ] as const) {
    assert.match(endFailure(end)?.message ?? '', /^The [a-z :]+\.$/u)
  }
  const restarted = new SpacedockError('interrupted', 'The other device was restarted.')
  assert.equal(endFailure({ reason: 'aborted', cause: restarted }), restarted)
})

function unreachable(): Error {
  return Object.assign(new Error('connect'), { code: 'ENETUNREACH' })
}

/** Dials as a node does. */
async function dialingHost(): Promise<{ dialer: Dialer; stop: () => Promise<void> }> {
  const made: { dialer?: Dialer } = {}
  const dialer = addressDialer()
  const libp2p = await createLibp2p({
    transports: [linkLocalTcp({})],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { dialer: (components: Parameters<typeof dialer>[0]) => (made.dialer = dialer(components)) },
  })
  assert.ok(made.dialer)
  return { dialer: made.dialer, stop: async () => libp2p.stop() }
}

async function silentServer() {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

async function freePort(): Promise<number> {
  const server = await silentServer()
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
