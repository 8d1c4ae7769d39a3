import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Liveness } from '../../../src/network/session/liveness.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

test('a peer that answers is pinged every three seconds of quiet and never given up', async () => {
  const clock = virtualClock()
  const pingedAt: number[] = []
  let silent = false
  const liveness = new Liveness({
    clock,
    ping: () => {
      pingedAt.push(clock.monotonic())
      clock.after(150, () => liveness.received())
    },
    onSilent: () => (silent = true),
  })
  await clock.pass(60_500)
  assert.equal(silent, false)
  assert.ok(pingedAt.length >= 18 && pingedAt.length <= 20, String(pingedAt))
  liveness.stop()
  assert.equal(clock.pending(), 0)
})

test('whenever a peer falls silent, it is noticed after nine seconds', async () => {
  for (let silentFrom = 0; silentFrom <= 9_000; silentFrom += 250) {
    const clock = virtualClock()
    let lastHeardAt = 0
    let noticedAt: number | undefined
    const hear = (): void => {
      if (clock.monotonic() > silentFrom) return
      lastHeardAt = clock.monotonic()
      liveness.received()
    }
    const liveness = new Liveness({
      clock,
      ping: () => clock.after(100, hear),
      onSilent: () => (noticedAt = clock.monotonic()),
    })
    // It says something of its own now and then.
    for (const at of [700, 1_900, 4_100, 6_500]) clock.after(at, hear)
    await clock.pass(30_000)
    assert.ok(noticedAt !== undefined)
    assert.equal(noticedAt - lastHeardAt, 9_000, `silent from ${silentFrom} ms`)
    assert.equal(clock.pending(), 0)
  }
})
