import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { DevicePaths, type TlsPaths } from '../../../src/network/supervisor/device-paths.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { newPeerId } from '../session/session-pair.ts'

const peer = await newPeerId()
const address = multiaddr('/ip4/127.0.0.1/tcp/1')
const relayed = multiaddr(`/ip4/127.0.0.1/tcp/2/p2p/${peer}/p2p-circuit`)
const { signal } = new AbortController()

test('without TLS, or with a device that has refused it, libp2p connects and dials', async () => {
  for (const tls of [null, { ...tlsPaths(), mayTry: async () => false }]) {
    const { paths, calls } = world({ tls })
    await paths.connect(peer, [address], { signal })
    await paths.dial(peer, [address], { signal })
    assert.deepEqual(calls, ['connect', 'dial'])
  }
})

test('a device that is not connected is dialled by TLS; a relayed connection is used as it is', async () => {
  const far = world()
  await far.paths.connect(peer, [address], { signal })
  assert.deepEqual(far.calls, ['tls'])
  const near = world({ open: connection('outbound', relayed) })
  await near.paths.connect(peer, [address], { signal })
  assert.deepEqual(near.calls, ['connect'])
})

test('beside a direct connection that this side has dialled, TLS is tried there; where it is refused, that is used', async () => {
  const open = connection('outbound')
  const { paths, calls } = world({ open })
  assert.equal(await paths.connect(peer, [], { signal }), open)
  assert.deepEqual(calls, ['tls beside'])
})

test('the other side of such a connection lets the device come, and uses it when it does not', async () => {
  const open = connection('inbound')
  const waited = world({ open })
  assert.equal(await waited.paths.connect(peer, [], { signal }), open)
  const come = world({ open, tls: { ...tlsPaths(), comes: async () => true } })
  await assert.rejects(come.paths.connect(peer, [], { signal }), { code: 'cancelled' })
})

test('a direct connection that was closed meanwhile is not used', async () => {
  const open = connection('inbound')
  const closing = {
    ...tlsPaths(),
    comes: async () => Object.assign(open, { status: 'closed' }) === undefined,
  }
  const { paths, calls } = world({ open, tls: closing })
  await paths.connect(peer, [address], { signal })
  assert.deepEqual(calls, ['tls'])
})

interface Situation {
  open?: Connection
  tls?: Partial<TlsPaths> | null
}

function world({ open, tls = tlsPaths() }: Situation = {}): { paths: DevicePaths; calls: string[] } {
  const calls: string[] = []
  const called = (what: string): Connection => {
    calls.push(what)
    return open ?? connection('outbound')
  }
  const dials: Pick<TlsPaths, 'dial' | 'dialBeside'> = {
    dial: async () => called('tls'),
    dialBeside: async (_peer, _address, plain) => {
      calls.push('tls beside')
      return plain({ signal })
    },
  }
  const paths = new DevicePaths(
    {
      peerId: peer,
      simultaneousOpen: null,
      tls: tls === null ? null : { ...tlsPaths(), ...tls, ...dials },
      connectionsTo: () => (open === undefined ? [] : [open]),
      connect: async () => called('connect'),
      dial: async () => called('dial'),
      toldAddresses: async () => [],
    },
    virtualClock(),
  )
  return { paths, calls }
}

function tlsPaths(): Pick<TlsPaths, 'mayTry' | 'comes'> {
  return { mayTry: async () => true, comes: async () => false }
}

function connection(direction: 'inbound' | 'outbound', remoteAddr: Multiaddr = address): Connection {
  return { status: 'open', direction, remoteAddr, streams: [] } as unknown as Connection
}

test('beside a connection that is dead TLS gets a second of the clock that is given, and the connection is used', async () => {
  const clock = virtualClock()
  const dead = connection('outbound')
  const paths = new DevicePaths(
    {
      peerId: peer,
      simultaneousOpen: null,
      tls: { ...tlsPaths(), dial: never, dialBeside: never },
      connectionsTo: () => [dead],
      connect: never,
      dial: never,
      toldAddresses: async () => [],
    },
    clock,
  )
  const found = paths.connect(peer, [address], { signal })
  await turns(8)
  assert.ok(clock.step(1_000), 'something waits for the clock')
  assert.equal(await found, dead)
})

function never(): Promise<never> {
  return new Promise(() => {})
}
