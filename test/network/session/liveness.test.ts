import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Liveness } from '../../../src/network/session/liveness.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

test('a peer that answers is pinged every three seconds of quiet and never given up', async () => {
  const clock = virtualClock()
  const pingedAt: number[] = []
  let silent = false
  const peer = {
    roundTripMs: undefined,
    askForLife: () => {
      pingedAt.push(clock.monotonic())
      clock.after(150, () => liveness.received())
    },
    doubtChanged: () => {},
    fellSilent: () => (silent = true),
  }
  const liveness = new Liveness(peer, clock)
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
    const peer = {
      roundTripMs: undefined,
      askForLife: () => clock.after(100, hear),
      doubtChanged: () => {},
      fellSilent: () => (noticedAt = clock.monotonic()),
    }
    const liveness = new Liveness(peer, clock)
    // It says something of its own now and then.
    for (const at of [700, 1_900, 4_100, 6_500]) clock.after(at, hear)
    await clock.pass(30_000)
    assert.ok(noticedAt !== undefined)
    assert.equal(noticedAt - lastHeardAt, 9_000, `silent from ${silentFrom} ms`)
    assert.equal(clock.pending(), 0)
  }
})

test('an answer that takes much longer than usual is doubted, until something is heard', async () => {
  for (const [roundTripMs, doubtedAtMs] of [
    [undefined, 1_000],
    [20, 1_000],
    [500, 2_000],
    [9_000, 5_000],
  ] as const) {
    const clock = virtualClock()
    const changes: [boolean, number][] = []
    let isSilentAt: number | undefined
    const peer = {
      roundTripMs,
      askForLife: () => {},
      doubtChanged: (isDoubtful: boolean) => changes.push([isDoubtful, clock.monotonic()]),
      fellSilent: () => (isSilentAt = clock.monotonic()),
    }
    const liveness = new Liveness(peer, clock)
    liveness.check()
    liveness.check()
    await clock.pass(5_500)
    assert.deepEqual(changes, [[true, doubtedAtMs]])
    assert.ok(liveness.isDoubtful)
    liveness.received()
    assert.deepEqual(changes[1], [false, 5_500])
    await clock.pass(20_000)
    assert.deepEqual(changes[2], [true, 5_500 + 3_000 + doubtedAtMs])
    assert.equal(isSilentAt, 5_500 + 9_000)
    assert.equal(clock.pending(), 0)
  }
})
