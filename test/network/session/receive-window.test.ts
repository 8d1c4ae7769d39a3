import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  initialWindowBytes,
  largestWindowBytes,
  ReceiveWindow,
} from '../../../src/network/session/receive-window.ts'
import { WindowBudget } from '../../../src/network/session/window-budget.ts'

const mebibyte = 1024 * 1024

/**
 * A sender with more than enough to send over a link of so many bytes a millisecond and so long a way, to an application that reads
 * so many. Returns the window, and the share of what it could have been that was read in the second half.
 */
function fill(link: { bytesPerMs: number; roundTripMs: number; readsPerMs: number; budgetBytes?: number }): {
  windowBytes: number
  used: number
  budget: WindowBudget
  window: ReceiveWindow
} {
  const { bytesPerMs, roundTripMs, readsPerMs, budgetBytes = 256 * mebibyte } = link
  const durationMs = 200 * Math.max(4, roundTripMs)
  const stepMs = Math.max(0.5, roundTripMs / 50)
  const budget = new WindowBudget(budgetBytes)
  let nowMs = 0
  const window = new ReceiveWindow(budget, { nowMs: () => nowMs, roundTripMs: () => roundTripMs })
  let [creditBytes, allowedBytes, unreadBytes, sinceBytes, readBytes] = [
    initialWindowBytes,
    initialWindowBytes,
    0,
    0,
    0,
  ]
  const onTheWay: { atMs: number; data: number; credit: number }[] = []
  for (; nowMs < durationMs; nowMs += stepMs) {
    while ((onTheWay[0]?.atMs ?? Infinity) <= nowMs) {
      const come = onTheWay.shift()
      unreadBytes += come?.data ?? 0
      allowedBytes -= come?.data ?? 0
      creditBytes += come?.credit ?? 0
    }
    const sent = Math.min(creditBytes, bytesPerMs * stepMs)
    creditBytes -= sent
    onTheWay.push({ atMs: nowMs + roundTripMs / 2, data: sent, credit: 0 })
    const read = Math.min(unreadBytes, readsPerMs * stepMs)
    unreadBytes -= read
    sinceBytes += read
    if (nowMs > durationMs / 2) readBytes += read
    assert.ok(unreadBytes <= window.bytes)
    if (window.bytes - allowedBytes - unreadBytes < window.dueBytes) continue
    window.adapt(sinceBytes)
    assert.ok(allowedBytes + unreadBytes <= window.bytes)
    sinceBytes = 0
    const granted = Math.max(0, window.bytes - allowedBytes - unreadBytes)
    allowedBytes += granted
    onTheWay.push({ atMs: nowMs + roundTripMs / 2, data: 0, credit: granted })
  }
  const could = (Math.min(bytesPerMs, readsPerMs) * durationMs) / 2
  return { windowBytes: window.bytes, used: readBytes / could, budget, window }
}

const links: [what: string, bytesPerMs: number, roundTripMs: number, atMostBytes: number][] = [
  ['10 Mbit/s in the house', 1_250, 1, initialWindowBytes],
  ['1 Gbit/s in the house', 125_000, 0.5, 4 * mebibyte],
  ['100 Mbit/s across an ocean', 12_500, 150, 8 * mebibyte],
  ['5 Gbit/s over 63 ms', 625_000, 63, largestWindowBytes],
]
for (const [what, bytesPerMs, roundTripMs, atMostBytes] of links) {
  test(`the window grows to what the way carries, and not far beyond: ${what}`, () => {
    const { windowBytes, used } = fill({ bytesPerMs, roundTripMs, readsPerMs: Infinity })
    assert.ok(used >= 0.9, `${used} of the link is used, with a window of ${windowBytes} bytes`)
    assert.ok(windowBytes <= atMostBytes, `a window of ${windowBytes} bytes`)
  })
}

test('a slow reader never has more than the first window, however fast the link is', () => {
  const { windowBytes } = fill({ bytesPerMs: 1_000_000, roundTripMs: 1, readsPerMs: 5_000 })
  assert.equal(windowBytes, initialWindowBytes)
})

test('a window shrinks when its reader has become slow, and gives back what it had', () => {
  let nowMs = 0
  const budget = new WindowBudget(mebibyte)
  const window = new ReceiveWindow(budget, { nowMs: () => nowMs, roundTripMs: () => 1 })
  const read = (tookMs: number): void => {
    nowMs += tookMs
    window.adapt(window.dueBytes)
  }
  for (let count = 0; count < 40; count++) read(1)
  assert.equal(window.bytes, mebibyte)
  for (let count = 0; count < 20; count++) read(1_000)
  assert.equal(window.bytes, initialWindowBytes)
  assert.equal(budget.take(mebibyte), true)
})

test('windows are no larger than the session may have, nor than all sessions may', () => {
  const { windowBytes, window, budget } = fill({
    bytesPerMs: 625_000,
    roundTripMs: 63,
    readsPerMs: Infinity,
    budgetBytes: 3 * mebibyte,
  })
  assert.equal(windowBytes, 2 * mebibyte)
  assert.equal(budget.take(1.5 * mebibyte), false)
  window.close()
  window.close()
  assert.equal(budget.take(3 * mebibyte), true)
})

test('a session takes part in what all may have, and gives its own back to all', () => {
  const steps = fc.array(fc.record({ of: fc.nat(2), bytes: fc.nat(60), takes: fc.boolean() }), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(steps, (all) => {
      const process = new WindowBudget(100)
      const sessions = [
        new WindowBudget(50, process),
        new WindowBudget(50, process),
        new WindowBudget(50, process),
      ]
      const taken = [0, 0, 0]
      for (const { of, bytes, takes } of all) {
        const before = taken[of] ?? 0
        const sum = taken.reduce((one, other) => one + other)
        if (takes) {
          const fits = before + bytes <= 50 && sum + bytes <= 100
          assert.equal(sessions[of]?.take(bytes), fits)
          if (fits) taken[of] = before + bytes
        } else if (bytes <= before) {
          sessions[of]?.giveBack(bytes)
          taken[of] = before - bytes
        }
      }
    }),
  )
})
