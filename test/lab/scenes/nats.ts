import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices, type TestDevice } from '../../device.ts'
import { onPath, sessionPaths, twoHomes, untilDirectMs } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import type { NatKind, Unsolicited } from '../lab.ts'
import { scene, timed } from '../scene.ts'

/**
 * Routers of every kind, with real delays: who gets a direct path, at which attempt, and after how long. Every kind of NAT, every answer and
 * every delay is in the rows that always run; with SPACEDOCK_LAB_ALL=1, all of their combinations are.
 */

interface Meeting {
  nats: [NatKind, NatKind]
  unsolicited: Unsolicited
  /** One way, between each router and the internet. */
  delayMs: number
}

const keeping = 'port-preserving'
const pairs: [NatKind, NatKind][] = [
  [keeping, keeping],
  [keeping, 'sequential'],
  ['sequential', 'sequential'],
  [keeping, 'symmetric'],
  ['symmetric', 'symmetric'],
]
const all = pairs.flatMap((nats) =>
  (['drop', 'reset', 'icmp'] as const).flatMap((unsolicited) =>
    [0.2, 30, 100].map((delayMs): Meeting => ({ nats, unsolicited, delayMs })),
  ),
)
const always: Meeting[] = [
  { nats: [keeping, keeping], unsolicited: 'drop', delayMs: 30 },
  { nats: [keeping, keeping], unsolicited: 'drop', delayMs: 100 },
  { nats: [keeping, keeping], unsolicited: 'reset', delayMs: 0.2 },
  { nats: [keeping, keeping], unsolicited: 'icmp', delayMs: 0.2 },
  { nats: [keeping, keeping], unsolicited: 'reset', delayMs: 30 },
  { nats: [keeping, keeping], unsolicited: 'icmp', delayMs: 30 },
  { nats: [keeping, keeping], unsolicited: 'icmp', delayMs: 100 },
  { nats: [keeping, 'sequential'], unsolicited: 'drop', delayMs: 0.2 },
  { nats: [keeping, 'sequential'], unsolicited: 'icmp', delayMs: 30 },
  { nats: ['sequential', 'sequential'], unsolicited: 'reset', delayMs: 30 },
  { nats: [keeping, 'symmetric'], unsolicited: 'drop', delayMs: 30 },
  { nats: ['symmetric', 'symmetric'], unsolicited: 'drop', delayMs: 0.2 },
]

for (const meeting of process.env['SPACEDOCK_LAB_ALL'] === '1' ? all : always) {
  const { nats, unsolicited, delayMs } = meeting
  const outcome = outcomeOf(meeting)
  scene(
    `${nats.join(' and ')} NATs, unsolicited: ${unsolicited}, ${delayMs} ms a link: ${outcome}`,
    async (stage) => {
      // With a single node nobody could tell a random NAT from one that gives every port a number.
      const rendezvous = nats.includes('symmetric') ? 2 : 1
      const { alice, bob } = await twoHomes(stage, {
        nats,
        unsolicited,
        rendezvous,
        uplink: { delayMs },
        debug: true,
      })
      await Promise.all([alice.device.up(), bob.device.up()])
      await pairDevices(alice.device, bob.device)
      await connectedBothWays(alice.device, bob.device)
      const attempts = (): number =>
        [alice, bob].flatMap(({ device }) => device.events('simultaneous-open.attempt')).length
      if (outcome === 'relayed') {
        await foundHopeless(alice.device, bob.device)
        assert.equal(attempts(), 0, 'nothing is tried in vain')
        assert.equal((await alice.device.waitForState('bob', 'connected')).path, 'relayed')
        stage.saw('relayed, without an attempt')
      } else if (await isDirect(alice.device, bob.device, outcome)) {
        const ms = Math.max(...[alice, bob].map(({ device }) => untilDirectMs(device)))
        stage.saw(`direct ${(ms / 1000).toFixed(1)} s after the first session, attempts: ${attempts()}`)
        // Chance has its part only where a packet is under way for less time than a program takes to send it.
        assert.ok(attempts() <= (delayMs < 1 ? 32 : 3), `direct after ${attempts()} attempts`)
      } else stage.saw(`relayed, attempts: ${attempts()}`)
      await talkBothWays(alice.device, bob.device)
    },
    { cables: true },
  )
}

function outcomeOf({ nats, unsolicited, delayMs }: Meeting): 'direct' | 'relayed' | 'direct, with luck' {
  if (nats.includes('symmetric')) return 'relayed'
  const isExact = delayMs >= 1 || unsolicited === 'drop' || !nats.includes('sequential')
  return isExact ? 'direct' : 'direct, with luck'
}

async function isDirect(
  one: TestDevice,
  other: TestDevice,
  outcome: 'direct' | 'direct, with luck',
): Promise<boolean> {
  try {
    await onPath(one, other, 'direct', { deadlineMs: 30_000 })
    return true
  } catch (error) {
    if (outcome === 'direct') throw error
    return false
  }
}

/** Waits until the one of the two that would arrange for a direct path has found that there is no use in it. */
async function foundHopeless(one: TestDevice, other: TestDevice): Promise<void> {
  const reasons = /gives each connection any port|no addresses that fit/u
  const deadline = performance.now() + 60_000
  while (
    ![one, other].some((device) =>
      device.events('direct-path.not-found').some(({ errors }) => reasons.test(String(errors))),
    )
  ) {
    assert.ok(performance.now() < deadline, 'it was not found out')
    await wait(100)
  }
}

for (const delayMs of [0.2, 30]) {
  scene(
    `with no relay at all, ${delayMs} ms a link, the words alone pair two devices behind port-preserving NATs`,
    async (stage) => {
      const { alice, bob } = await twoHomes(stage, {
        nats: [keeping, keeping],
        relay: false,
        uplink: { delayMs },
      })
      await Promise.all([alice.device.up(), bob.device.up()])
      const paired = await timed(() => pairDevices(alice.device, bob.device))
      await connectedBothWays(alice.device, bob.device)
      await talkBothWays(alice.device, bob.device)
      for (const { device } of [alice, bob])
        assert.deepEqual(
          new Set(sessionPaths(device)),
          new Set(['direct']),
          `${device.name}: from the first on`,
        )
      stage.saw(`paired in ${paired.took}, directly`)
    },
    { cables: true },
  )
}
