import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/api.ts'
import { systemClock } from '../../src/clock.ts'
import { nextEvent, TestNodes } from './nodes.ts'

const dayMs = 24 * 3_600_000

/** The machine's own time, whose wall clock somebody sets. */
class SetClock implements Clock {
  #offsetMs = 0

  setBy(ms: number): void {
    this.#offsetMs += ms
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  wall(): number {
    return systemClock.wall() + this.#offsetMs
  }

  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback)
  }
}

for (const [what, jumpMs] of [
  ['set forward by a day', dayMs],
  ['set back by a day', -dayMs],
] as const) {
  test(`a wall clock that is ${what} ends no code, no session, no pairing and no message`, async () => {
    await using nodes = new TestNodes()
    const clock = new SetClock()
    const [alice, bob, carol] = await Promise.all([
      nodes.make('alice', { clock }),
      nodes.make('bob'),
      nodes.make('carol'),
    ])
    const connected = Promise.all([alice, bob].map((node) => nextEvent(node, 'device:connected')))
    const invitation = await alice.pair()
    const aliceAtBob = await bob.join(invitation.words, { peers: alice.status().listen })
    const bobAtAlice = await invitation.paired
    await connected
    const open = await alice.pair()
    const { uptimeMs } = alice.status()

    clock.setBy(jumpMs)

    assert.ok(Math.abs(alice.status().uptimeMs - uptimeMs) < 60_000, 'the uptime did not jump')
    assert.deepEqual(
      [(await bobAtAlice.send('after the jump')).status, (await aliceAtBob.send('and back')).status],
      ['delivered', 'delivered'],
    )
    // A pairing whose first half is before the jump, and its second after it.
    const asked = Promise.withResolvers<void>()
    const joining = carol.join(open.words, {
      peers: alice.status().listen,
      confirm: async () => {
        asked.resolve()
        clock.setBy(-jumpMs)
        return true
      },
    })
    await asked.promise
    assert.equal((await joining).id, alice.id)
    assert.equal((await open.paired).id, carol.id)

    clock.setBy(jumpMs)
    await bob.close()
    assert.equal((await bobAtAlice.send('while you are away')).status, 'queued')
    clock.setBy(-jumpMs)
    assert.equal(alice.outbox().length, 1)
    const { sessions, pairings } = alice.metrics()
    assert.equal(sessions.lost, 1, 'that of the device that was closed')
    assert.equal(pairings.initiator.paired, 2)
    assert.equal(bobAtAlice.state, 'disconnected', 'and not revoked, nor to be paired again')
  })
}
