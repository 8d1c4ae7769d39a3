import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CongestionWindow } from '../../../src/network/session/congestion-window.ts'
import type { FramedStream } from '../../../src/network/session/framed-stream.ts'
import type { Frame } from '../../../src/network/session/frames.ts'
import { Pings } from '../../../src/network/session/pings.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

test('every answer counts for the round trip, one that took unusually long only a little', async () => {
  const { clock, pings, answer, measured } = setUp()
  const keepalive = async (tookMs: number): Promise<void> => {
    pings.sendKeepalive()
    await clock.pass(tookMs)
    answer()
  }
  await keepalive(40)
  await keepalive(40)
  await keepalive(120)
  const asked = pings.ping()
  await clock.pass(50)
  answer()
  assert.equal(await asked, 50)
  assert.deepEqual(measured, [40, 40, 50, 50])
  assert.equal(clock.pending(), 0)
})

test('what nobody asked, what was answered already and what lay there during a sleep are not measured', async () => {
  const { clock, pings, answer, measured } = setUp()
  answer(7n)
  pings.sendKeepalive()
  answer()
  answer()
  pings.sendKeepalive()
  await clock.pass(3_600_000)
  answer()
  assert.deepEqual(measured, [0])
})

function setUp() {
  const clock = virtualClock()
  const sent: Frame[] = []
  const measured: number[] = []
  const framed = {
    outgoing: { pushControl: (frame: Frame) => sent.push(frame) },
    congestionWindow: new CongestionWindow(),
    flush: () => {},
  }
  const pings = new Pings({
    framed: framed as unknown as FramedStream,
    clock,
    onRoundTrip: (roundTripMs) => measured.push(roundTripMs),
  })
  /** To the last ping, unless told. */
  function answer(id?: bigint): void {
    const payload = sent.at(-1)?.payload.slice() ?? new Uint8Array(8)
    if (id !== undefined) new DataView(payload.buffer).setBigUint64(0, id)
    pings.receive({ type: 'pong', more: false, channel: 0, payload })
  }
  return { clock, pings, answer, measured }
}
