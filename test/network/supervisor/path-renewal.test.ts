import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { pathBudget, requireFitting } from '../../../src/network/session/path-budget.ts'
import { larger, relayAddress, smaller, supervise, type World } from './supervised-world.ts'

/** A world whose relay ends every connection after a time; the first comes in, the others are dialled. */
function limitedWorld({ seconds, isChooser = true }: { seconds: number; isChooser?: boolean }): World {
  const [localPeer, other] = isChooser ? [smaller, larger] : [larger, smaller]
  const open = (): Connection => {
    const connection = world.connection(other, relayAddress)
    const end = world.clock.monotonic() + seconds * 1_000
    const limits = {
      bytes: 131_072n,
      get seconds() {
        return Math.round((end - world.clock.monotonic()) / 1_000)
      },
    }
    return Object.assign(connection, { limits })
  }
  const world = supervise([other], {
    localPeer,
    dial: async () => open(),
    openSession: async (connection) => {
      const session = world.newSession({ connection, opener: 'local' })
      session.budget = pathBudget(connection)
      world.clock.after(seconds * 1_000, () =>
        session.end({ reason: 'interrupted', cause: new Error('the relay has had enough') }),
      )
      return session
    },
  })
  return world
}

test('a session moves to a new connection before the relay ends the one that it has', async () => {
  const world = limitedWorld({ seconds: 120 })
  world.supervisor.start()
  await world.clock.pass(10 * 60_000)
  assert.ok(
    world.events.every((event) => event.startsWith('session')),
    world.events.join(', '),
  )
  assert.ok(world.dials.length >= 7 && world.dials.length <= 9, `${world.dials.length} dials`)
  await world.stop()
})

test('when little can be sent any more it moves as well, but four times a minute at most', async () => {
  const world = limitedWorld({ seconds: 3_600 })
  world.supervisor.start()
  await world.clock.pass(60_000)
  assert.equal(world.dials.length, 1)
  for (let second = 0; second < 60; second++) {
    const { limits } = world.supervisor.sessionOf(larger)?.connection ?? {}
    if (limits !== undefined) limits.bytes = 40_000n
    await world.clock.pass(1_000)
  }
  assert.ok(world.dials.length >= 4 && world.dials.length <= 6, `${world.dials.length} dials`)
  await world.stop()
})

test('the other side of the two leaves it to that one', async () => {
  const world = limitedWorld({ seconds: 120, isChooser: false })
  world.supervisor.start()
  await world.clock.pass(110_000)
  assert.equal(world.dials.length, 1)
  await world.stop()
})

test('what is larger than the relay carries is refused, with what to do', () => {
  const budget = pathBudget({ limits: { bytes: 131_072n, seconds: 120 } })
  assert.equal(budget?.messageBytes, 32_768)
  requireFitting(budget, 'x'.repeat(32_000))
  requireFitting(pathBudget({}), 'x'.repeat(1_000_000))
  assert.throws(() => requireFitting(budget, 'x'.repeat(33_000)), {
    code: 'too-large',
    message: /relay/u,
    hint: /direct connection/u,
  })
})
