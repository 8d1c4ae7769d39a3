import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newPeerId } from '../session/session-pair.ts'
import { supervise, type World } from './supervised-world.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'

/** Sorted as a node does it: who was there last comes first. */
const peers = await Promise.all(Array.from({ length: 1_000 }, newPeerId))

interface Crowd {
  world: World
  online: Set<string>
  /** Dials under way at the same time, at most. */
  most: () => number
  connected: () => number
}

/** Of 1,000 devices these are online; the dials to the others end after so long. */
function crowd(online: readonly PeerId[], timeoutMs: number): Crowd {
  const there = new Set(online.map(String))
  let running = 0
  let most = 0
  const world = supervise(peers, {
    dial: async (peerId, _addresses, { signal }) => {
      most = Math.max(most, ++running)
      try {
        if (there.has(peerId)) return world.connection(peerId)
        return await new Promise<never>((_resolve, reject) => {
          const cancel = world.clock.after(timeoutMs, () => reject(new Error('unreachable')))
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
  const connected = (): number =>
    online.filter((peer) => world.supervisor.sessionOf(peer) !== undefined).length
  return { world, online: there, most: () => most, connected }
}

/** Virtual milliseconds until so many of them are connected. */
async function untilConnected({ world, connected }: Crowd, count: number, limitMs: number): Promise<number> {
  const fromMs = world.clock.monotonic()
  while (connected() < count) {
    await world.clock.pass(100)
    assert.ok(world.clock.monotonic() - fromMs <= limitMs, `${connected()} of ${count} after ${limitMs} ms`)
  }
  return world.clock.monotonic() - fromMs
}

test('1,000 devices of which the ten that were there last are online: connected at once, the rest costs little', async (t) => {
  const before = process.memoryUsage().heapUsed
  const scene = crowd(peers.slice(0, 10), 10_000)
  const { world } = scene
  const tookMs = await untilConnected(scene, 10, 1_000)
  await world.clock.pass(10 * 60_000)
  const dials = world.dials.length
  // What is left: each dial's own timer and its deadline, the next attempt, the watch for sleep.
  const timers = world.clock.pending()
  await world.clock.pass(10 * 60_000)
  const perMinute = (world.dials.length - dials) / 10
  const kilobytes = Math.round((process.memoryUsage().heapUsed - before) / 1_024)
  t.diagnostic(`connected after ${tookMs} ms; ${perMinute} dials a minute, ${timers} timers, ${kilobytes} kB`)
  assert.ok(scene.most() <= 12, `${scene.most()} dials at once`)
  assert.ok(perMinute <= (12 * 60) / 3, `${perMinute} dials a minute`)
  assert.ok(timers <= 2 * 12 + 2, `${timers} timers`)
  await world.stop()
  assert.equal(world.clock.pending(), 0)
})

test('ten that were there longest ago are not starved by the 990 that never answer', async (t) => {
  const scene = crowd(peers.slice(-10), 10_000)
  const tookMs = await untilConnected(scene, 10, (990 / 12) * 3_000 + 5_000)
  t.diagnostic(`connected after ${tookMs} ms`)
  await scene.world.stop()
})

test('each of the 990 has its turn, as often as any other', async () => {
  const scene = crowd([], 3_000)
  await scene.world.clock.pass(20 * 60_000)
  const tries = new Map<string, number>()
  for (const { peerId } of scene.world.dials) tries.set(String(peerId), (tries.get(String(peerId)) ?? 0) + 1)
  const counts = [...tries.values()]
  assert.equal(counts.length, 1_000)
  assert.ok(
    Math.max(...counts) - Math.min(...counts) <= 2,
    `${Math.min(...counts)} to ${Math.max(...counts)}`,
  )
  await scene.world.stop()
})

test('devices that refuse at once are repeated four times a second in all, and one that was lost comes before them', async (t) => {
  const own = peers[600]
  assert.ok(own)
  const scene = crowd([own], 0)
  const { world } = scene
  await untilConnected(scene, 1, 1_000)
  await world.clock.pass(20 * 60_000)
  const before = world.dials.length
  await world.clock.pass(10 * 60_000)
  const perMinute = (world.dials.length - before) / 10
  t.diagnostic(`${perMinute} dials a minute`)
  assert.ok(perMinute <= 241, `${perMinute} dials a minute`)
  world.sessions.at(-1)?.end({ reason: 'interrupted', cause: new Error('lost') })
  await world.clock.pass(0)
  assert.equal(scene.connected(), 0)
  await untilConnected(scene, 1, 1_000)
  await world.stop()
})

test('one that is seen is reached at once, also right after a change of network, when everybody is to be tried anew', async () => {
  const scene = crowd([], 10_000)
  const { world, online } = scene
  await world.clock.pass(60_000)
  for (const [index, peer] of peers.slice(700, 710).entries()) {
    if (index === 5) world.supervisor.networkChanged()
    online.add(peer)
    world.supervisor.sighting(peer)
    await world.clock.pass(0)
    assert.ok(world.supervisor.sessionOf(peer), `number ${index}`)
  }
  await world.stop()
})

test('devices that are seen are tried before all that wait', async () => {
  const { world } = crowd([], 10_000)
  await world.clock.pass(60_000)
  const before = world.dials.length
  const seen = peers.slice(800, 812)
  for (const peer of seen) world.supervisor.sighting(peer)
  while (world.dials.length < before + seen.length) await world.clock.pass(100)
  const next = world.dials.slice(before, before + seen.length).map(({ peerId }) => peerId)
  assert.deepEqual(next, seen)
  await world.stop()
})

test('whoever is announced and not there takes no more than his share: the others go on being tried', async () => {
  const scene = crowd([], 10_000)
  const { world, online } = scene
  await world.clock.pass(60_000)
  const quiet = peers[400]
  assert.ok(quiet)
  online.add(quiet.toString())
  for (let second = 0; second < 300 && world.supervisor.sessionOf(quiet) === undefined; second++) {
    for (const peer of peers.slice(0, 50)) world.supervisor.sighting(peer)
    await world.clock.pass(1_000)
  }
  assert.ok(world.supervisor.sessionOf(quiet))
  assert.ok(scene.most() <= 16)
  await world.stop()
})
