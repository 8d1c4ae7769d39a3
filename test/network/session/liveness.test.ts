import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Liveness } from '../../../src/network/session/liveness.ts'
import { virtualTimers } from '../virtual-timers.ts'

test('a peer that answers is pinged every three seconds of quiet and never given up', async () => {
  const timers = virtualTimers()
  const pingedAt: number[] = []
  let silent = false
  const liveness = new Liveness({
    timers,
    ping: () => {
      pingedAt.push(timers.monotonic())
      timers.after(150, () => liveness.received())
    },
    onSilent: () => (silent = true),
  })
  await timers.pass(60_500)
  assert.equal(silent, false)
  assert.ok(pingedAt.length >= 18 && pingedAt.length <= 20, String(pingedAt))
  liveness.stop()
  assert.equal(timers.pending(), 0)
})

test('whenever a peer falls silent, it is noticed after nine seconds', async () => {
  for (let silentFrom = 0; silentFrom <= 9_000; silentFrom += 250) {
    const timers = virtualTimers()
    let lastHeardAt = 0
    let noticedAt: number | undefined
    const hear = (): void => {
      if (timers.monotonic() > silentFrom) return
      lastHeardAt = timers.monotonic()
      liveness.received()
    }
    const liveness = new Liveness({
      timers,
      ping: () => timers.after(100, hear),
      onSilent: () => (noticedAt = timers.monotonic()),
    })
    // It says something of its own now and then.
    for (const at of [700, 1_900, 4_100, 6_500]) timers.after(at, hear)
    await timers.pass(30_000)
    assert.ok(noticedAt !== undefined)
    assert.equal(noticedAt - lastHeardAt, 9_000, `silent from ${silentFrom} ms`)
    assert.equal(timers.pending(), 0)
  }
})
