import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { KillableDevice } from './killable-device.ts'
import { startPairing } from './running-pairing.ts'

/**
 * A device whose process stands still, while its kernel goes on keeping its connections. Here until it is noticed; for longer,
 * and with a look at how long that took:
 *
 *     SPACEDOCK_TEST_STOP_SECONDS=60 node --test test/e2e/stopped-peer.long.test.ts
 */
const stopSeconds = Number(process.env['SPACEDOCK_TEST_STOP_SECONDS'] ?? 0)
const timeout = 120_000 + stopSeconds * 1_000

test(
  'a device that stands still is noticed, and healed without help when it goes on',
  { timeout },
  async (context) => {
    await using alice = await KillableDevice.make('alice')
    await using bob = await KillableDevice.make('bob')
    await Promise.all([alice.up(), bob.up()])
    const { inviting, joining } = await startPairing(alice, bob)
    const [{ device }, { device: initiator }] = await Promise.all([inviting, joining])
    await Promise.all([alice.untilConnected(device.peerId), bob.untilConnected(initiator.peerId)])

    bob.suspend()
    const stoppedAtMs = Date.now()
    const ended = await alice.logged((line) => line.includes('"session.ended"'), 60_000)
    // By its silence, or by a ping in vain when it stopped while a second connection was being settled.
    const { time } = JSON.parse(ended) as { time: string }
    const { path, connectedSince, lastFailure } = await alice.untilState(device.peerId, 'disconnected')
    assert.deepEqual([path, connectedSince, lastFailure?.code], [null, null, 'offline'])
    const noticedAfterMs = Date.parse(time) - stoppedAtMs
    context.diagnostic(`noticed after ${noticedAfterMs} ms`)
    if (stopSeconds > 0) assert.ok(noticedAfterMs <= 30_000, `${noticedAfterMs} ms`)
    const content = { text: 'are you there?' }
    assert.equal((await alice.call('send', { device: device.id, content })).status, 'queued')
    await wait(Math.max(0, stoppedAtMs + stopSeconds * 1_000 - Date.now()))

    bob.wake()
    const wokenAtMs = Date.now()
    await Promise.all([alice.untilConnected(device.peerId), bob.untilConnected(initiator.peerId)])
    context.diagnostic(`connected again after ${Date.now() - wokenAtMs} ms`)
    await alice.untilDelivered()
    const [message, ...others] = await bob.events('inbox', { follow: false })
    assert.deepEqual([message?.text, others], [content.text, []])
  },
)
