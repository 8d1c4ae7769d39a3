import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../../src/errors.ts'
import type { ConnectionSupervisorOptions } from '../../../src/network/supervisor/connection-supervisor.ts'
import { ConnectionSupervisor } from '../../../src/network/supervisor/connection-supervisor.ts'
import type { Session, SessionEnd } from '../../../src/network/session/session.ts'
import { newPeerId } from '../session/session-pair.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { turns, virtualClock } from '../virtual-clock.ts'

const [smaller, larger] = await twoPeers()
const address = multiaddr('/ip4/127.0.0.1/tcp/1')

test('a device that is there is connected at start, and again when its session ends', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  const first = world.supervisor.sessionOf(larger)
  assert.ok(first)
  assert.deepEqual(world.events, ['session 1'])
  await world.clock.pass(20_000)
  world.session(1).end({ reason: 'interrupted', cause: new Error('lost') })
  await world.clock.pass(0)
  assert.equal(world.supervisor.sessionOf(larger), undefined)
  await world.clock.pass(1_000)
  assert.deepEqual(world.events, ['session 1', 'ended interrupted', 'session 2'])
  await world.stop()
})

test('a device that is not there is tried for ever, at growing intervals up to a minute', async () => {
  const world = supervise([larger], { dial: () => Promise.reject(new Error('refused')) })
  world.supervisor.start()
  await world.clock.pass(30 * 60_000)
  const gaps = world.dials.slice(1).map(({ at }, index) => at - (world.dials[index]?.at ?? 0))
  for (const [index, gap] of gaps.slice(0, 7).entries()) {
    assert.ok(gap >= 500 && gap <= 500 * 2 ** index + 1, `gap ${index}: ${gap} ms`)
  }
  assert.ok(gaps.slice(-5).every((gap) => gap <= 60_000 && gap >= 500))
  assert.ok(world.dials.length > 30)
  assert.equal(world.events.filter((event) => event.startsWith('failed')).length, world.dials.length)
  await world.stop()
})

test('a sighting, a new network, a wake and a wish each end the waiting at once', async () => {
  const nudges: ((supervisor: ConnectionSupervisor) => void)[] = [
    (supervisor) => supervisor.sighting(larger),
    (supervisor) => supervisor.networkChanged(),
    (supervisor) => supervisor.wake(),
    (supervisor) => supervisor.connectNow(larger),
  ]
  for (const nudge of nudges) {
    let isThere = false
    const world = supervise([larger], {
      dial: async () => {
        if (!isThere) throw new Error('refused')
        return world.connection(larger)
      },
      random: () => 0.999,
    })
    world.supervisor.start()
    await world.clock.pass(5 * 60_000)
    isThere = true
    const before = world.dials.length
    nudge(world.supervisor)
    await world.clock.pass(0)
    assert.equal(world.dials.length, before + 1)
    assert.ok(world.supervisor.sessionOf(larger))
    await world.stop()
  }
})

test('a sighting starts a dial over that began without it', async () => {
  let aborted = 0
  const world = supervise([larger], {
    dial: (_peerId, _addresses, { signal }) =>
      world.dials.length > 1
        ? Promise.resolve(world.connection(larger))
        : new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted++
              reject(signal.reason)
            })
          }),
  })
  world.supervisor.start()
  await world.clock.pass(1_000)
  world.supervisor.sighting(larger)
  world.supervisor.sighting(larger)
  await world.clock.pass(0)
  assert.equal(aborted, 1)
  assert.ok(world.supervisor.sessionOf(larger))
  await world.stop()
})

test('a dial that never answers is given up after fifteen seconds', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  await world.clock.pass(15_000)
  assert.deepEqual(world.events, ['failed timed-out'])
  await world.stop()
})

test('a device without any known address is not dialled', async () => {
  const world = supervise([larger], { addressesOf: () => [] })
  world.supervisor.start()
  await world.clock.pass(0)
  assert.equal(world.dials.length, 0)
  assert.deepEqual(world.events, ['failed offline'])
  await world.stop()
})

test('a connection whose hello times out is not used again', async () => {
  const world = supervise([larger], {
    openSession: () => Promise.reject(new SpacedockError('timed-out', 'no hello')),
  })
  world.supervisor.start()
  await world.clock.pass(0)
  assert.deepEqual(
    world.connections.map(({ status }) => status),
    ['aborted'],
  )
  await world.stop()
})

test('`unknown device` is reported once and never retried, until it is paired again', async () => {
  let knowsUs = false
  const world = supervise([larger], {
    openSession: async (connection) => {
      if (!knowsUs) throw new SpacedockError('not-paired', 'unknown device')
      return world.newSession({ connection, opener: 'local' })
    },
  })
  world.supervisor.start()
  await world.clock.pass(60 * 60_000)
  world.supervisor.sighting(larger)
  world.supervisor.networkChanged()
  await world.clock.pass(60 * 60_000)
  assert.equal(world.dials.length, 1)
  assert.deepEqual(world.events, ['unknown'])
  knowsUs = true
  world.supervisor.connectNow(larger)
  await world.clock.pass(0)
  assert.ok(world.supervisor.sessionOf(larger))
  await world.stop()
})

test('a device that ends every session at once is not tried without pause', async () => {
  const world = supervise([larger], { random: () => 0.999 })
  world.supervisor.start()
  await world.clock.pass(0)
  for (let minute = 0; minute < 10; minute++) {
    for (let second = 0; second < 60; second++) {
      world.sessions.at(-1)?.end({ reason: 'remote-closed' })
      await world.clock.pass(1_000)
    }
  }
  assert.ok(world.dials.length < 25, `${world.dials.length} dials in ten minutes`)
  await world.stop()
})

test('1,000 devices of which 10 are there: bounded attempts at once, one timer, and the ten are connected', async () => {
  const peers = await Promise.all(Array.from({ length: 1_000 }, newPeerId))
  const online = new Set(peers.filter((_, index) => index % 100 === 50).map(String))
  let running = 0
  let most = 0
  const world = supervise(peers, {
    dial: async (peerId, _addresses, { signal }) => {
      most = Math.max(most, ++running)
      try {
        if (online.has(peerId.toString())) return world.connection(peerId)
        return await new Promise<never>((_resolve, reject) => {
          const cancel = world.clock.after(2_000, () => reject(new Error('unreachable')))
          signal.addEventListener('abort', () => {
            cancel()
            reject(signal.reason)
          })
        })
      } finally {
        running--
      }
    },
  })
  world.supervisor.start()
  await world.clock.pass(180_000)
  assert.equal(most, 12)
  const connected = peers.filter((peerId) => world.supervisor.sessionOf(peerId) !== undefined)
  assert.deepEqual(new Set(connected.map(String)), online)
  // The dials' own, their deadlines, the next attempt and the watch for sleep.
  assert.ok(world.clock.pending() <= 2 * 16 + 2, `${world.clock.pending()} clock`)

  // One that comes back is reached at once, though all routine places are taken.
  const back = peers[0]
  assert.ok(back)
  online.add(back.toString())
  world.supervisor.sighting(back)
  await world.clock.pass(0)
  assert.ok(world.supervisor.sessionOf(back))
  await world.stop()
})

test('an inbound session is taken in, and ends the attempts', async () => {
  const world = supervise([larger], { dial: () => Promise.reject(new Error('refused')) })
  world.supervisor.start()
  await world.clock.pass(10_000)
  const session = world.newSession({ opener: 'remote' })
  assert.equal(await world.supervisor.admit(session), 'kept')
  const before = world.dials.length
  await world.clock.pass(10 * 60_000)
  assert.equal(world.dials.length, before)
  assert.equal(world.supervisor.sessionOf(larger), session)
  await world.stop()
})

test('a session from a peer that is not to be kept is ended', async () => {
  const world = supervise([])
  world.supervisor.start()
  const session = world.newSession({ opener: 'remote' })
  assert.equal(await world.supervisor.admit(session), 'refused')
  assert.equal((await session.closed).reason, 'aborted')
  await world.stop()
})

test("when both opened one, the smaller peer id's stays, and the device is never reported as gone", async () => {
  for (const [local, remote, first, kept] of [
    [smaller, larger, 'local', 'local'],
    [smaller, larger, 'remote', 'local'],
    [larger, smaller, 'local', 'remote'],
    [larger, smaller, 'remote', 'remote'],
  ] as const) {
    const world = supervise([remote], { localPeer: local, dial: () => new Promise(() => {}) })
    world.supervisor.start()
    const older = world.newSession({ opener: first, remotePeer: remote })
    const newer = world.newSession({ opener: first === 'local' ? 'remote' : 'local', remotePeer: remote })
    await Promise.all([world.supervisor.admit(older), world.supervisor.admit(newer)])
    const [winner, loser] = older.opener === kept ? [older, newer] : [newer, older]
    assert.equal(world.supervisor.sessionOf(remote), winner)
    assert.equal((await loser.closed).reason, 'closed')
    assert.ok(!world.events.some((event) => event.startsWith('ended')), String(world.events))
    await world.stop()
  }
})

test('a dead session does not block a new one for longer than a two-second probe', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const dead = world.newSession({ opener: 'local', answersPing: false })
  await world.supervisor.admit(dead)
  const fresh = world.newSession({ opener: 'remote' })
  const admission = world.supervisor.admit(fresh)
  await world.clock.pass(2_000)
  assert.equal(await admission, 'kept')
  assert.equal(world.supervisor.sessionOf(larger), fresh)
  assert.equal((await dead.closed).reason, 'aborted')
  assert.equal(dead.connection.status, 'aborted')
  await world.stop()
})

test('a dead session over the same connection as the new one does not take the connection with it', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const connection = world.connection(larger)
  await world.supervisor.admit(world.newSession({ opener: 'local', answersPing: false, connection }))
  const fresh = world.newSession({ opener: 'remote', connection })
  const admission = world.supervisor.admit(fresh)
  await world.clock.pass(2_000)
  assert.equal(await admission, 'kept')
  assert.equal(connection.status, 'open')
  await world.stop()
})

test('a restarted device replaces its session at once, without a probe', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  const restarted = world.newSession({ opener: 'remote', remoteInstance: 'b'.repeat(32) })
  assert.equal(await world.supervisor.admit(restarted), 'kept')
  assert.equal((await world.session(1).closed).reason, 'aborted')
  assert.equal(world.supervisor.sessionOf(larger), restarted)
  await world.stop()
})

test('after a change of network a session that is dead is found within two seconds, and replaced', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).answersPing = false
  world.supervisor.networkChanged()
  await world.clock.pass(2_000)
  assert.deepEqual(world.events, ['session 1', 'ended aborted'])
  await world.clock.pass(1_000)
  assert.deepEqual(world.events, ['session 1', 'ended aborted', 'session 2'])
  await world.stop()
})

test('a session that fell silent takes its connection with it', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).end({ reason: 'silent' })
  await world.clock.pass(0)
  assert.equal(world.session(1).connection.status, 'aborted')
  await world.stop()
})

test('sleep of the machine is noticed by a timer that is late by the wall clock', async () => {
  let isThere = false
  const world = supervise([larger], {
    random: () => 0.999,
    dial: async () => {
      if (!isThere) throw new Error('refused')
      return world.connection(larger)
    },
  })
  world.supervisor.start()
  // Just after an attempt, so that the next one is a minute off.
  while (world.dials.length < 12) await world.clock.pass(1_000)
  const before = world.dials.length
  isThere = true
  world.clock.sleep(60 * 60_000)
  await world.clock.pass(5_000)
  assert.equal(world.dials.length, before + 1)
  assert.ok(world.supervisor.sessionOf(larger))
  await world.stop()
})

test('drop ends the session, the dial and every connection before it returns, and nothing brings them back', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  const idle = world.connection(larger)
  world.devices.length = 0
  await world.supervisor.drop(larger)
  assert.equal((await world.session(1).closed).reason, 'aborted')
  assert.equal(idle.status, 'aborted')
  assert.ok(world.connections.every(({ status }) => status === 'aborted'))
  world.supervisor.sighting(larger)
  assert.equal(await world.supervisor.admit(world.newSession({ opener: 'remote' })), 'refused')
  await world.clock.pass(60 * 60_000)
  assert.equal(world.dials.length, 1)
  await world.stop()
})

test('drop during an attempt ends what the attempt still brings up', async () => {
  const dialled = Promise.withResolvers<Connection>()
  const world = supervise([larger], { dial: () => dialled.promise })
  world.supervisor.start()
  await world.clock.pass(0)
  world.devices.length = 0
  const dropping = world.supervisor.drop(larger)
  dialled.resolve(world.connection(larger))
  await dropping
  await world.clock.pass(0)
  assert.ok(world.connections.every(({ status }) => status === 'aborted'))
  assert.equal(world.sessions.length, 0)
  await world.stop()
})

test('stop says goodbye, and is over within two seconds whatever the others do', async () => {
  const other = await newPeerId()
  const world = supervise([larger, other], {
    dial: (peerId) =>
      peerId.equals(larger) ? Promise.resolve(world.connection(larger)) : new Promise(() => {}),
  })
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).closesInTime = false
  let stopped = false
  const stopping = world.supervisor.stop().then(() => (stopped = true))
  await world.clock.pass(1_999)
  assert.equal(stopped, false)
  await world.clock.pass(1)
  await stopping
  assert.equal((await world.session(1).closed).reason, 'aborted')
  world.supervisor.connectNow(larger)
  world.supervisor.networkChanged()
  await world.clock.pass(60 * 60_000)
  assert.equal(world.dials.length, 2)
  assert.equal(world.clock.pending(), 0)
})

interface FakeSession extends Session {
  answersPing: boolean
  closesInTime: boolean
  end(end: SessionEnd): void
}

interface World {
  supervisor: ConnectionSupervisor
  clock: VirtualClock
  events: string[]
  dials: { at: number; peerId: PeerId }[]
  devices: PeerId[]
  connections: Connection[]
  sessions: FakeSession[]
  /** The nth session, from 1. */
  session(number: number): FakeSession
  connection(peerId: PeerId): Connection
  newSession(options: {
    opener: 'local' | 'remote'
    connection?: Connection
    remotePeer?: PeerId
    remoteInstance?: string
    answersPing?: boolean
  }): FakeSession
  stop(): Promise<void>
}

/** A supervisor in a world without sockets: its time is turned by hand, and every dial and session is the test's. */
function supervise(peers: readonly PeerId[], overrides: Partial<ConnectionSupervisorOptions> = {}): World {
  const clock = virtualClock()
  const devices = [...peers]
  const events: string[] = []
  const dials: World['dials'] = []
  const connections: Connection[] = []
  const sessions: FakeSession[] = []

  const connection = (remotePeer: PeerId): Connection => {
    const made = {
      remotePeer,
      status: 'open',
      remoteAddr: address,
      abort: () => void (made.status = 'aborted'),
    }
    connections.push(made as unknown as Connection)
    return made as unknown as Connection
  }
  const newSession: World['newSession'] = (options) => {
    const ended = Promise.withResolvers<SessionEnd>()
    const made: FakeSession = {
      remotePeer: options.remotePeer ?? options.connection?.remotePeer ?? larger,
      connection: options.connection ?? connection(options.remotePeer ?? larger),
      opener: options.opener,
      remoteInstance: options.remoteInstance ?? 'a'.repeat(32),
      answersPing: options.answersPing ?? true,
      closesInTime: true,
      closed: ended.promise,
      end: (end) => ended.resolve(end),
      request: () => Promise.reject(new Error('not in this world')),
      openStream: () => Promise.reject(new Error('not in this world')),
      emit: () => Promise.reject(new Error('not in this world')),
      ping: ({ timeoutMs = 10_000 } = {}) =>
        made.answersPing
          ? Promise.resolve(1)
          : new Promise((_resolve, reject) => {
              clock.after(timeoutMs, () => reject(new SpacedockError('timed-out', 'no pong')))
            }),
      close: async () => {
        if (made.closesInTime) ended.resolve({ reason: 'closed' })
        await ended.promise
      },
      abort: (cause) => ended.resolve({ reason: 'aborted', cause }),
    }
    sessions.push(made)
    return made
  }
  const { dial = async (peerId: PeerId) => connection(peerId), ...others } = overrides
  const supervisor = new ConnectionSupervisor({
    localPeer: smaller,
    devices: () => devices,
    addressesOf: () => [address],
    openSession: async (over) => newSession({ connection: over, opener: 'local' }),
    connectionsTo: (peerId) =>
      connections.filter((each) => each.status === 'open' && each.remotePeer.equals(peerId)),
    onSession: (session) => events.push(`session ${sessions.indexOf(session as FakeSession) + 1}`),
    onSessionEnded: (_peerId, { reason }) => events.push(`ended ${reason}`),
    onAttemptFailed: (_peerId, cause) =>
      events.push(`failed ${cause instanceof SpacedockError ? cause.code : cause.message}`),
    onUnknownDevice: () => events.push('unknown'),
    random: () => 0.5,
    clock,
    ...others,
    dial: (peerId, addresses, options) => {
      dials.push({ at: clock.monotonic(), peerId })
      return dial(peerId, addresses, options)
    },
  })
  return {
    supervisor,
    clock,
    events,
    dials,
    devices,
    connections,
    sessions,
    connection,
    newSession,
    session: (number) => {
      const session = sessions[number - 1]
      assert.ok(session, `there is no session ${number}`)
      return session
    },
    stop: async () => {
      const stopping = supervisor.stop()
      await clock.pass(2_000)
      await stopping
      await turns()
    },
  }
}

async function twoPeers(): Promise<[smaller: PeerId, larger: PeerId]> {
  const [one, two] = await Promise.all([newPeerId(), newPeerId()])
  return one.toString() < two.toString() ? [one, two] : [two, one]
}
