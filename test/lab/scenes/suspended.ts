import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { connectedBothWays, pairedDevices, talkBothWays } from '../meeting.ts'
import { scene, seconds, timed } from '../scene.ts'

const stoppedMs = 60_000
/** What is promised is ten seconds; the rest is for a slow machine. */
const noticed = { deadlineMs: 20_000 }

scene(
  `a device whose daemon stands still for ${stoppedMs / 1000} s is noticed, and connected again without help`,
  async (stage) => {
    const { alice, bob } = await pairedDevices(stage)
    const { pid = 0 } = await bob.device.status()
    assert.ok(pid > 0)
    process.kill(pid, 'SIGSTOP')
    const stoppedAt = performance.now()
    try {
      const gone = await timed(() => alice.device.waitForState('bob', 'disconnected', noticed))
      const { lines } = await alice.device.cli(['send', 'bob', 'sent while it stood still'])
      assert.equal(lines[0]?.event, 'queued')
      await wait(stoppedMs - (performance.now() - stoppedAt))
      const { state } = (await alice.device.devices()).find(({ name }) => name === 'bob') ?? {}
      assert.equal(state, 'disconnected')
      stage.saw(`stood still for ${seconds(performance.now() - stoppedAt)}; noticed after ${gone.took}`)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    const back = await timed(() => alice.device.waitForState('bob', 'connected'))
    await connectedBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, bob.device)
    const inbox = await bob.device.cli(['inbox'])
    assert.equal(inbox.lines.filter(({ text }) => text === 'sent while it stood still').length, 1)
    stage.saw(`connected again ${back.took} after it went on`)
  },
  { timeoutMs: 600_000 },
)
