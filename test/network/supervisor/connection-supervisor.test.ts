import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, Stream } from '@libp2p/interface'
import { SpacedockError } from '../../../src/errors.ts'
import { turns } from '../../../src/testing/virtual-clock.ts'
import { newPeerId } from '../session/session-pair.ts'
import { larger, relayAddress, smaller, supervise, type World } from './supervised-world.ts'

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

const nudges: Record<string, (world: World) => unknown> = {
  'a sighting': ({ supervisor }) => supervisor.sighting(larger),
  'another network': ({ supervisor }) => supervisor.networkChanged(),
  'a wish': ({ supervisor }) => supervisor.connectNow(larger),
  // Noticed by a timer that is late by the wall clock.
  'a wake from sleep': async ({ clock, events }) => {
    clock.sleep(60 * 60_000)
    while (!events.includes('wake')) await clock.pass(50)
  },
}
for (const [what, nudge] of Object.entries(nudges)) {
  test(`${what} ends the waiting at once, and the waiting times are short ones again`, async () => {
    const world = supervise([larger], {
      dial: () => Promise.reject(new Error('refused')),
      random: () => 0.999,
    })
    world.supervisor.start()
    await world.clock.pass(10 * 60_000)
    // Just after a try, so that the next one is a minute off.
    const last = world.dials.length
    while (world.dials.length === last) await world.clock.pass(1_000)
    await world.clock.pass(1_000)
    const before = world.dials.length
    await nudge(world)
    await world.clock.pass(0)
    assert.equal(world.dials.length, before + 1)
    await world.clock.pass(4_000)
    // After 0.5, 1 and 2 s.
    assert.equal(world.dials.length, before + 4)
    await world.stop()
  })
}

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
  assert.deepEqual(world.events, ['failed offline: No answer at its address.'])
  await world.stop()
})

test('a device without any known address is not dialled', async () => {
  const world = supervise([larger], { addressesOf: () => [] })
  world.supervisor.start()
  await world.clock.pass(0)
  assert.equal(world.dials.length, 0)
  assert.deepEqual(world.events, ['failed offline: No address of the device is known.'])
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

test('an inbound session is taken in, and ends the attempts', async () => {
  const world = supervise([larger], { dial: () => Promise.reject(new Error('refused')) })
  world.supervisor.start()
  await world.clock.pass(10_000)
  const session = world.newSession({ opener: 'remote' })
  assert.equal(world.supervisor.admit(session), 'kept')
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
  assert.equal(world.supervisor.admit(session), 'refused')
  assert.equal((await session.closed).reason, 'aborted')
  await world.stop()
})

for (const [who, local, remote] of [
  ['the device with the smaller peer id says goodbye on the older one', smaller, larger],
  ['the device with the larger one leaves that to the other', larger, smaller],
] as const) {
  test(`of two sessions new work goes to the newer one; ${who}; the device is never reported as gone`, async () => {
    for (const opener of ['local', 'remote'] as const) {
      const world = supervise([remote], { localPeer: local, dial: () => new Promise(() => {}) })
      world.supervisor.start()
      const older = world.newSession({ opener, remotePeer: remote })
      const newer = world.newSession({ opener: opener === 'local' ? 'remote' : 'local', remotePeer: remote })
      for (const session of [older, newer]) {
        session.isBusy = true
        world.supervisor.admit(session)
      }
      assert.equal(world.supervisor.sessionOf(remote), newer)
      await world.clock.pass(24 * 3_600_000)
      assert.deepEqual([older.isDrained, newer.isDrained], [local === smaller, false])
      assert.deepEqual(world.events, ['session 1', 'session 2'])
      await world.stop()
    }
  })
}

test('whoever hears a goodbye goes on over the other session, and has none when there is no other', async () => {
  const world = supervise([smaller], { localPeer: larger, dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const [one, other] = ['local', 'remote'].map((opener) =>
    world.newSession({ opener: opener as 'local' | 'remote' }),
  )
  assert.ok(one !== undefined && other !== undefined)
  world.supervisor.admit(one)
  world.supervisor.admit(other)
  other.hearGoodbye()
  assert.equal(world.supervisor.sessionOf(smaller), one)
  one.hearGoodbye()
  assert.equal(world.supervisor.sessionOf(smaller), undefined)
  assert.deepEqual(world.events, ['session 1', 'session 2', 'session 1', 'ended remote-closed'])
  for (const session of [one, other]) session.end({ reason: 'remote-closed' })
  await world.clock.pass(0)
  assert.equal(world.events.length, 4)
  await world.stop()
})

test('a relayed session does not take the place of a direct one that answers, but of one that does not', async () => {
  for (const answersPing of [true, false]) {
    const world = supervise([larger], {
      dial: () => new Promise(() => {}),
      // Nothing answers over the direct connection, nor is another one found.
      openSession: () => new Promise(() => {}),
    })
    world.supervisor.start()
    const direct = world.newSession({ opener: 'local', answersPing })
    const relayed = world.newSession({ opener: 'remote', connection: world.connection(larger, relayAddress) })
    for (const session of [direct, relayed]) {
      session.isBusy = true
      world.supervisor.admit(session)
    }
    assert.equal(world.supervisor.sessionOf(larger), direct)
    await world.clock.pass(1_000)
    assert.equal(world.supervisor.sessionOf(larger), answersPing ? direct : relayed)
    assert.deepEqual([direct.isDrained, relayed.isDrained], [!answersPing, answersPing])
    assert.equal(direct.forsaken.aborted, !answersPing)
    await world.stop()
  }
})

test('while a session does not answer another way is looked for, and no longer', async () => {
  const world = supervise([larger], {
    dial: (_peerId, _addresses, { anew }) =>
      world.dials.length < 2
        ? Promise.resolve(world.connection(larger))
        : Promise.reject(new Error(`${anew}`)),
  })
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).doubt(true)
  await world.clock.pass(3_000)
  const inDoubt = world.dials.length
  assert.ok(inDoubt >= 3, String(inDoubt))
  assert.equal(world.supervisor.sessionOf(larger), world.session(1))
  world.session(1).doubt(false)
  await world.clock.pass(60_000)
  assert.equal(world.dials.length, inDoubt)
  assert.deepEqual(world.events, ['session 1'], 'what fails beside a session is no news')
  await world.stop()
})

test('a session that was replaced ends when the other side uses the new one, and not before it has answered', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const [relayed, direct] = [world.newSession({ opener: 'local' }), world.newSession({ opener: 'local' })]
  world.supervisor.admit(relayed)
  const takenIn = Promise.withResolvers<number>()
  direct.ping = () => takenIn.promise
  relayed.isBusy = true
  relayed.connection.streams.push({} as Stream)
  world.supervisor.admit(direct)
  assert.equal(world.supervisor.sessionOf(larger), direct)
  await world.clock.pass(0)
  assert.equal(relayed.isDrained, false)
  takenIn.resolve(1)
  await world.clock.pass(24 * 3_600_000)
  assert.equal(relayed.isDrained, true)
  assert.equal(relayed.connection.status, 'open')
  relayed.connection.streams.pop()
  relayed.end({ reason: 'closed' })
  await world.clock.pass(2_000)
  assert.equal(relayed.connection.status, 'closed')
  assert.deepEqual(world.events, ['session 1', 'session 2'])
  await world.stop()
})

test('of very many sessions that were replaced and are still busy, the oldest are ended', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const sessions = Array.from({ length: 20 }, () => world.newSession({ opener: 'local' }))
  for (const session of sessions) {
    session.isBusy = true
    world.supervisor.admit(session)
    await world.clock.pass(10)
  }
  const ended = sessions.map((session) => session.closed.then(({ reason }) => reason))
  const now = await Promise.all(ended.map((end) => Promise.race([end, turns().then(() => 'open')])))
  assert.deepEqual(
    now,
    sessions.map((_, index) => (index < 3 ? 'aborted' : 'open')),
  )
  for (const session of sessions) session.end({ reason: 'closed' })
  await world.stop()
})

test('a session that was replaced and falls silent ends with its connection, and the device is not gone', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const dead = world.newSession({ opener: 'local' })
  world.supervisor.admit(dead)
  world.supervisor.admit(world.newSession({ opener: 'local' }))
  dead.end({ reason: 'silent' })
  await world.clock.pass(0)
  assert.equal(dead.connection.status, 'aborted')
  assert.deepEqual(world.events, ['session 1', 'session 2'])
  await world.stop()
})

test('connections that carry nothing beside the one of the session are closed, those in use are not', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const [idle, used] = [world.connection(larger), world.connection(larger)]
  used.streams.push({} as Stream)
  const session = world.newSession({ opener: 'remote' })
  world.supervisor.admit(session)
  await world.clock.pass(2_000)
  assert.deepEqual(
    [idle, used, session.connection].map(({ status }) => status),
    ['closed', 'open', 'open'],
  )
  await world.stop()
})

test('a dead session over the same connection as the new one does not take the connection with it', async () => {
  const world = supervise([larger], { dial: () => new Promise(() => {}) })
  world.supervisor.start()
  const connection = world.connection(larger)
  world.supervisor.admit(world.newSession({ opener: 'local', connection }))
  world.supervisor.admit(world.newSession({ opener: 'remote', connection }))
  world.session(1).end({ reason: 'silent' })
  await world.clock.pass(0)
  assert.equal(connection.status, 'open')
  await world.stop()
})

test('a restarted device replaces its session at once, without a probe', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  const restarted = world.newSession({ opener: 'remote', remoteInstance: 'b'.repeat(32) })
  assert.equal(world.supervisor.admit(restarted), 'kept')
  assert.equal((await world.session(1).closed).reason, 'aborted')
  assert.equal(world.session(1).connection.status, 'aborted')
  assert.equal(restarted.connection.status, 'open')
  assert.equal(world.supervisor.sessionOf(larger), restarted)
  await world.stop()
})

test('after a change of network a session that is dead is left within a second, and the device is not gone', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).answersPing = false
  world.session(1).isBusy = true
  world.supervisor.networkChanged()
  await world.clock.pass(1_000)
  assert.deepEqual(world.events, ['session 1', 'session 2'])
  await world.clock.pass(60_000)
  assert.equal((await world.session(1).closed).reason, 'silent')
  assert.deepEqual(world.events, ['session 1', 'session 2'])
  await world.stop()
})

test('a session that does not answer after a change of network ends when no other way is found', async () => {
  const world = supervise([larger], {
    dial: () => (world.dials.length > 1 ? new Promise(() => {}) : Promise.resolve(world.connection(larger))),
  })
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).answersPing = false
  world.supervisor.networkChanged()
  await world.clock.pass(6_000)
  assert.deepEqual(world.events, ['session 1', 'ended silent'])
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

test('whoever else waits is told of a wake, and a session that died in the sleep is replaced', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).answersPing = false
  world.clock.sleep(60 * 60_000)
  await world.clock.pass(8_000)
  assert.deepEqual(world.events, ['session 1', 'wake', 'session 2'])
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
  assert.equal(world.supervisor.admit(world.newSession({ opener: 'remote' })), 'refused')
  await world.clock.pass(60 * 60_000)
  assert.equal(world.dials.length, 1)
  await world.stop()
})

test('drop tells the device first, when there is something to say and it is there', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.devices.length = 0
  await world.supervisor.drop(larger, new Uint8Array(32))
  assert.ok(world.events.includes('told'))
  assert.ok(world.connections.every(({ status }) => status === 'aborted'))
  await world.supervisor.drop(larger, new Uint8Array(32))
  await world.stop()
})

test('a second drop waits for the first, and a device that is paired again meanwhile is another to the network', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  const heard = Promise.withResolvers<void>()
  world.session(1).revoke = async () => {
    await heard.promise
    world.events.push('told')
  }
  world.devices.length = 0
  const drops = [1, 2].map(() => world.supervisor.drop(larger, new Uint8Array(32)))
  await turns()
  assert.equal(world.session(1).connection.status, 'open', 'it is told first')
  assert.equal(world.supervisor.sessionOf(larger), undefined)
  world.devices.push(larger)
  const again = world.newSession({ opener: 'remote' })
  assert.equal(world.supervisor.admit(again), 'kept')
  heard.resolve()
  await Promise.all(drops)
  assert.deepEqual(world.events, ['session 1', 'session 2', 'told', 'ended aborted'])
  assert.equal(world.supervisor.sessionOf(larger), again)
  assert.equal(world.supervisor.peers.size, 1)
  await world.stop()
})

test('what is not to be kept any more is left at the next try, and nothing of it stays', async () => {
  const world = supervise([larger], { dial: () => Promise.reject(new Error('refused')) })
  world.supervisor.start()
  await world.clock.pass(0)
  world.devices.length = 0
  await world.clock.pass(60_000)
  assert.deepEqual([world.dials.length, world.supervisor.peers.size, world.clock.pending()], [1, 0, 1])
  await world.stop()
})

test('a device that is trusted, and nobody has wanted yet, is known, and left alone until it is wanted or not trusted any more', async () => {
  const [wanted, given] = await Promise.all([newPeerId(), newPeerId()])
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.devices.push(wanted, given)
  world.supervisor.trustChanged(wanted)
  for (const peer of [wanted, given]) world.supervisor.sighting(peer)
  world.supervisor.networkChanged()
  await world.clock.pass(60_000)
  assert.deepEqual(
    world.dials.map(({ peerId }) => peerId),
    [larger],
  )
  assert.ok(world.supervisor.peers.get(wanted)?.pairKey)
  world.supervisor.connectNow(wanted)
  await world.clock.pass(0)
  assert.ok(world.supervisor.sessionOf(wanted))
  world.devices.length = 1
  world.supervisor.trustChanged(given)
  assert.equal(world.supervisor.peers.get(given), undefined)
  assert.equal(world.supervisor.peers.get(wanted)?.pairKey, null)
  assert.ok(world.supervisor.sessionOf(wanted), 'its session ends when it is dropped')
  await world.stop()
})

test('that a device has revoked this one is not covered by a dial that fails meanwhile', async () => {
  const dialled = Promise.withResolvers<never>()
  const world = supervise([larger], { dial: () => dialled.promise })
  world.supervisor.start()
  await world.clock.pass(0)
  world.supervisor.admit(world.newSession({ opener: 'remote' }))
  world.session(1).end({ reason: 'revoked' })
  await world.clock.pass(0)
  dialled.reject(new Error('the connection is gone'))
  await world.clock.pass(60_000)
  assert.deepEqual(world.events, ['session 1', 'ended revoked'])
  await world.stop()
})

test('a device that has revoked this one is not tried again, until it is paired again', async () => {
  const world = supervise([larger])
  world.supervisor.start()
  await world.clock.pass(0)
  world.session(1).end({ reason: 'revoked' })
  await world.clock.pass(60 * 60_000)
  world.supervisor.sighting(larger)
  await world.clock.pass(60 * 60_000)
  assert.equal(world.dials.length, 1)
  world.supervisor.connectNow(larger)
  await world.clock.pass(0)
  assert.equal(world.dials.length, 2)
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
    dial: (peerId) => (peerId === larger ? Promise.resolve(world.connection(larger)) : new Promise(() => {})),
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

test('when there is a new way, a dial for a session in doubt starts over, and none begins beside one that answers', async () => {
  const other = await newPeerId()
  const world = supervise([larger, other], {
    dial: (peerId) =>
      world.dials.length === 3 ? new Promise(() => {}) : Promise.resolve(world.connection(peerId)),
  })
  world.supervisor.start()
  await world.clock.pass(0)
  world.sessions.find(({ remotePeer }) => remotePeer === larger)?.doubt(true)
  await world.clock.pass(0)
  assert.equal(world.dials.length, 3)
  world.supervisor.tryAnew()
  await world.clock.pass(0)
  assert.deepEqual(
    world.dials.map(({ peerId }) => peerId),
    [larger, other, larger, larger],
  )
  assert.equal(world.supervisor.sessionOf(larger), world.session(3))
  await world.stop()
})
