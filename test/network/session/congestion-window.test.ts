import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CongestionWindow } from '../../../src/network/session/congestion-window.ts'

const kibibyte = 1024

/**
 * A sender with more than enough to send, over a link of so many bytes a millisecond, with a queue without end and so long a way.
 * Returns how long what is sent last waits behind what was sent before it, and the share of the link that is used.
 */
function fill(bytesPerMs: number, roundTripMs: number, durationMs: number): { waitMs: number; used: number } {
  const window = new CongestionWindow()
  window.roundTrip(roundTripMs)
  const answers: { atMs: number }[] = []
  let linkFreeAtMs = 0
  let arrived = 0
  let waitMs = 0
  for (let now = 0; now < durationMs; now += 0.5) {
    while ((answers[0]?.atMs ?? Infinity) <= now) {
      answers.shift()
      window.markAnswered(now)
    }
    while (window.freeBytes > 0) {
      const bytes = 64 * kibibyte
      linkFreeAtMs = Math.max(now, linkFreeAtMs) + bytes / bytesPerMs
      if (linkFreeAtMs <= durationMs) arrived += bytes
      window.sent(bytes)
      if (window.wantsMark) {
        window.mark(now)
        answers.push({ atMs: linkFreeAtMs + roundTripMs })
      }
    }
    if (now > durationMs / 2) waitMs = Math.max(waitMs, linkFreeAtMs - now)
  }
  return { waitMs, used: arrived / (bytesPerMs * durationMs) }
}

const links: [what: string, bytesPerMs: number, roundTripMs: number, durationMs: number][] = [
  ['10 Mbit/s in the house', 1_250, 1, 20_000],
  ['100 Mbit/s in the house', 12_500, 1, 10_000],
  ['1 Gbit/s in the house', 125_000, 0.5, 2_000],
  ['20 Mbit/s across the country', 2_500, 40, 20_000],
  ['100 Mbit/s across an ocean', 12_500, 150, 20_000],
  ['5 Gbit/s over 63 ms', 625_000, 63, 10_000],
]
for (const [what, bytesPerMs, roundTripMs, durationMs] of links) {
  test(`the window fits the link: ${what}`, () => {
    const { waitMs, used } = fill(bytesPerMs, roundTripMs, durationMs)
    // Three frames, or what two round trips carry.
    const mostMs = Math.max(75, (3 * 64 * kibibyte) / bytesPerMs, 3 * roundTripMs)
    assert.ok(waitMs <= mostMs, `what is said next waits ${Math.round(waitMs)} ms, not ${mostMs}`)
    assert.ok(used >= 0.9, `${used} of the link is used`)
  })
}

test('whatever answers come, and whenever: something may be sent when all has arrived, and never more than 64 MiB is on its way', () => {
  const step = fc.record({ sent: fc.nat(300_000), tookMs: fc.double({ min: 0, max: 20_000, noNaN: true }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new CongestionWindow()
      let now = 0
      for (const { sent, tookMs } of steps) {
        window.sent(Math.min(sent, window.freeBytes))
        assert.ok(window.freeBytes <= 64 * kibibyte * kibibyte)
        window.mark(now)
        now += tookMs
        window.markAnswered(now)
        assert.ok(window.freeBytes >= 64 * kibibyte, 'nothing may be sent though all has arrived')
      }
    }),
  )
})

test('an answer to no mark changes nothing', () => {
  const window = new CongestionWindow()
  window.sent(100)
  const { freeBytes } = window
  window.markAnswered(5)
  assert.equal(window.freeBytes, freeBytes)
})
