import assert from 'node:assert/strict'
import { twoHomes } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { scene } from '../scene.ts'

/** Two homes far from the rendezvous node, and from each other. */

/** How long the same takes next door: that is this machine's own time, and no round trip. */
let nearbyMs = 0

// So far that what this machine needs for itself, however busy it is, is no round trip.
for (const delayMs of [0.2, 250]) {
  // Device, router, rendezvous node and back, and the same on the other side; only the routers' links are long.
  const roundTripMs = 4 * delayMs
  scene(
    `at ${delayMs} ms a link, pairing across NATs takes eight round trips at most once the words are entered`,
    async (stage) => {
      const { alice, bob } = await twoHomes(stage, { uplink: { delayMs } })
      await Promise.all([alice.device.up(), bob.device.up()])
      for (const { device } of [alice, bob]) await device.logged('relay.reserved')
      const pairing = alice.device.spawnCli(['pair', '--yes'])
      const { words } = await pairing.waitForEvent('code')
      await pairing.progress(
        ({ source, message }) => source === 'internet' && /published to [1-9]/u.test(String(message)),
      )
      const startedAt = performance.now()
      const { code, stderr } = await bob.device.cli(['join', '-', '--yes'], { input: `${String(words)}\n` })
      const tookMs = performance.now() - startedAt
      assert.equal(code, 0, stderr)
      await connectedBothWays(alice.device, bob.device)
      await talkBothWays(alice.device, bob.device)
      if (nearbyMs === 0) nearbyMs = tookMs
      const roundTrips = (tookMs - nearbyMs) / roundTripMs
      stage.saw(`paired in ${tookMs.toFixed(0)} ms, ${roundTrips.toFixed(1)} round trips more than nearby`)
      assert.ok(roundTrips <= 8, 'more than eight round trips')
    },
    { cables: true },
  )
}
