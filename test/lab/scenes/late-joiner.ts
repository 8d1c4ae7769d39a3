import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { twoHomes } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { scene, timed } from '../scene.ts'

const earlierMs = 30_000

scene(`the joiner is there ${earlierMs / 1000} s before the initiator`, async (stage) => {
  const { alice, bob, home } = await twoHomes(stage)
  await Promise.all([alice.device.up(), bob.device.up()])
  const cable = alice.host.link(home)
  await cable.cut()
  const pairing = alice.device.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code')
  const joining = bob.device.spawnCli(['join', '-', '--yes'])
  joining.end(`${String(words)}\n`)
  await joining.progress(({ source, status }) => source === 'internet' && status === 'ready')
  await wait(earlierMs)
  assert.ok(joining.process.running)
  await cable.heal()
  const paired = await timed(() => joining.waitForEvent('paired'))
  await pairing.waitForEvent('paired')
  await connectedBothWays(alice.device, bob.device)
  await talkBothWays(alice.device, bob.device)
  stage.saw(`paired ${paired.took} after the initiator's cable was plugged in`)
})
