import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { randomNumbers } from '../../src/testing/random-numbers.ts'
import { KillableDevice } from '../e2e/killable-device.ts'
import { startPairing } from '../e2e/running-pairing.ts'

/**
 * Threat 32, for messages. A longer run, or the same one again:
 *
 *     SPACEDOCK_TEST_MESSAGES=5000 SPACEDOCK_TEST_KILLS=200 SPACEDOCK_TEST_SEED=1 node --test test/kills/messages.test.ts
 *
 * At most 5,000 messages: an inbox keeps no more of one sender that is alone there.
 */
const messageCount = Number(process.env['SPACEDOCK_TEST_MESSAGES'] ?? 300)
const killCount = Number(process.env['SPACEDOCK_TEST_KILLS'] ?? 8)
const seed = Number(process.env['SPACEDOCK_TEST_SEED'] ?? Date.now() % 1_000_000)
const timeout = 120_000 + killCount * 5_000 + messageCount * 50

test('threat 32: whoever is killed, each message arrives once and in order', { timeout }, async (context) => {
  context.diagnostic(`SPACEDOCK_TEST_SEED=${seed}`)
  const random = randomNumbers(seed)
  await using alice = await KillableDevice.make('alice')
  await using bob = await KillableDevice.make('bob')
  await Promise.all([alice.up(), bob.up()])
  const { inviting, joining } = await startPairing(alice, bob)
  const [{ device }] = await Promise.all([inviting, joining])
  await alice.untilConnected(device.peerId)

  const kills = planKills(random)
  const certain = new Set<number>()
  const outcomes = { delivered: 0, queued: 0, unknown: 0 }
  let bobIsUp: Promise<void> = Promise.resolve()
  let waitForBobAt = 0
  for (let number = 0; number < messageCount; number++) {
    if (number === waitForBobAt) await bobIsUp
    const sending = send(number)
    const kill = kills.get(number)
    if (kill !== undefined) {
      const victim = kill.victim === 'alice' ? alice : bob
      if (victim === bob) await bobIsUp
      await wait(kill.afterMs)
      await victim.kill9()
      const isUp = victim.up()
      // Alice's next message has to wait for her; while Bob is away a few queue up.
      if (victim === alice) await isUp
      else bobIsUp = isUp
      waitForBobAt = number + kill.queued
    }
    await sending
  }
  await bobIsUp
  await alice.untilDelivered()

  const inbox = await bob.events('inbox', { follow: false })
  const arrived = inbox.map((message) => Number(message.text))
  const once = new Set(arrived)
  context.diagnostic(`${messageCount} messages, ${killCount} kills: ${JSON.stringify(outcomes)}`)
  assert.deepEqual(
    [...certain].filter((number) => !once.has(number)),
    [],
    'lost',
  )
  assert.deepEqual(
    arrived,
    [...once].toSorted((one, other) => one - other),
    'doubled, or not in order',
  )
  assert.ok(outcomes.unknown <= killCount)

  /** A call that breaks off with Alice's daemon says nothing of its message: it arrives once, or not at all. */
  async function send(number: number): Promise<void> {
    const sent = alice.call('send', { device: device.id, content: { text: String(number) } })
    const status = await sent.then(
      (result) => result.status,
      () => 'unknown' as const,
    )
    outcomes[status]++
    if (status !== 'unknown') certain.add(number)
  }
})

interface PlannedKill {
  victim: 'alice' | 'bob'
  /** After the message was given to Alice's daemon: from before it is stored to after it was acknowledged. */
  afterMs: number
  /** Messages that are sent before the next one waits for Bob. */
  queued: number
}

/** By the number of the message at which it happens. */
function planKills(random: () => number): Map<number, PlannedKill> {
  const kills = new Map<number, PlannedKill>()
  const victim = (): 'alice' | 'bob' => (random() < 0.5 ? 'alice' : 'bob')
  const below = (limit: number): number => Math.floor(random() * limit)
  const last = messageCount - 1
  while (kills.size < Math.min(killCount, messageCount)) {
    const number = below(messageCount)
    const queued = 5 + below(20)
    // In the middle of one message; half of them also while what has queued up goes out.
    kills.set(number, { victim: victim(), afterMs: random() * 8, queued })
    if (random() < 0.5 || kills.size === killCount) continue
    kills.set(number, { victim: 'bob', afterMs: random() * 8, queued })
    kills.set(Math.min(last, number + queued), { victim: victim(), afterMs: random() * 150, queued })
  }
  return kills
}
