import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices } from '../../device.ts'
import { onPath, sessionPaths, twoHomes } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import type { NatKind, Unsolicited } from '../lab.ts'
import { scene, timed } from '../scene.ts'

/** Routers of every kind, with real delays: who gets a direct path, and after how long. */

interface Meeting {
  unsolicited: Unsolicited
  /** One way, between each router and the internet. */
  delayMs: number
  nats: [NatKind, NatKind]
  path: 'direct' | 'relayed'
}

const preserving: [NatKind, NatKind] = ['port-preserving', 'port-preserving']
const meetings: Meeting[] = [
  ...[0.2, 30, 100].map((delayMs): Meeting => ({
    unsolicited: 'drop',
    delayMs,
    nats: preserving,
    path: 'direct',
  })),
  // Below a millisecond no two clocks agree well enough: one packet is always early.
  ...(['reset', 'icmp'] as const).flatMap((unsolicited) =>
    [30, 100].map((delayMs): Meeting => ({ unsolicited, delayMs, nats: preserving, path: 'direct' })),
  ),
  ...(
    [
      ['port-preserving', 'symmetric'],
      ['symmetric', 'symmetric'],
      ['port-preserving', 'sequential'],
    ] as const
  ).map((nats): Meeting => ({ unsolicited: 'drop', delayMs: 30, nats: [...nats], path: 'relayed' })),
]

for (const { unsolicited, delayMs, nats, path } of meetings) {
  scene(
    `${nats.join(' and ')} NATs, unsolicited: ${unsolicited}, ${delayMs} ms a link: ${path}`,
    async (stage) => {
      const { alice, bob } = await twoHomes(stage, { nats, unsolicited, uplink: { delayMs } })
      await Promise.all([alice.device.up(), bob.device.up()])
      const paired = await timed(() => pairDevices(alice.device, bob.device))
      const direct = await timed(async () => {
        await connectedBothWays(alice.device, bob.device)
        if (path === 'direct') return onPath(alice.device, bob.device, 'direct', { deadlineMs: 30_000 })
        // Longer than the attempts at a direct connection take.
        return wait(15_000)
      })
      if (path === 'relayed') {
        const { path: seen } = await alice.device.waitForState('bob', 'connected')
        assert.equal(seen, 'relayed')
      }
      await talkBothWays(alice.device, bob.device)
      stage.saw(`paired in ${paired.took}; ${path === 'direct' ? `direct ${direct.took} later` : 'relayed'}`)
    },
    { cables: true },
  )
}

for (const delayMs of [0.2, 30]) {
  scene(
    `with no relay at all, ${delayMs} ms a link, the words alone pair two devices behind port-preserving NATs`,
    async (stage) => {
      const { alice, bob } = await twoHomes(stage, { nats: preserving, relay: false, uplink: { delayMs } })
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
