import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { ByteAllowance, meter } from '../../../src/network/relay/relay-meter.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const mebibyte = 1024 * 1024

test('an allowance fills up again as time passes, up to its burst', async () => {
  const clock = virtualClock()
  const allowance = new ByteAllowance(clock, 1_000, 5_000)
  assert.equal(allowance.take(5_000), 0)
  assert.equal(allowance.take(500), 500)
  await clock.pass(1_500)
  assert.equal(allowance.take(1_000), 0)
  await clock.pass(3_600_000)
  assert.equal(allowance.take(5_000), 0)
  assert.equal(allowance.take(1), 1)
})

test('a sender is paused while what it sent is not passed on, and goes on when it is', async () => {
  const { clock, from, to, arrive } = setUp({ bytesPerSecond: 1_000 * mebibyte })
  for (let count = 0; count < 64 && from.readStatus === 'readable'; count++) arrive(64 * 1024)
  assert.equal(from.readStatus, 'paused')
  assert.ok(from.arrived <= 1.1 * mebibyte, `${from.arrived} bytes are kept for the receiver`)
  await clock.pass(60_000)
  assert.equal(from.readStatus, 'paused', 'for as long as it takes')
  to.send(new Uint8Array(from.arrived))
  await clock.pass(100)
  assert.equal(from.readStatus, 'readable')
})

test('what the receiver’s own connection has not taken yet counts as well', async () => {
  const { clock, from, to, arrive } = setUp({ bytesPerSecond: 1_000 * mebibyte })
  to.writeBufferLength = 2 * mebibyte
  arrive(1)
  assert.equal(from.readStatus, 'paused')
  to.writeBufferLength = 0
  await clock.pass(100)
  assert.equal(from.readStatus, 'readable')
})

test('a sender without allowance is paused until it has one, also when the receiver keeps up', async () => {
  const { clock, from, to, arrive, counted } = setUp({ bytesPerSecond: 1_000, burstBytes: 1_000 })
  arrive(3_000)
  to.send(new Uint8Array(3_000))
  await clock.pass(1_900)
  assert.equal(from.readStatus, 'paused')
  await clock.pass(200)
  assert.equal(from.readStatus, 'readable')
  assert.equal(counted(), 3_000)
})

test('after its end nothing is counted, and no timer is left', () => {
  const { clock, from, arrive, counted, stop } = setUp({ bytesPerSecond: 1, burstBytes: 1 })
  arrive(100)
  assert.equal(from.readStatus, 'paused')
  stop()
  arrive(100)
  assert.equal(counted(), 100)
  assert.equal(clock.pending(), 0)
})

/** What `meter` uses of a stream. */
class TestStream extends EventTarget {
  readStatus: 'readable' | 'paused' = 'readable'
  writeBufferLength = 0
  arrived = 0

  pause(): void {
    this.readStatus = 'paused'
  }

  resume(): void {
    this.readStatus = 'readable'
  }

  send(_data: Uint8Array): boolean {
    return true
  }
}

function setUp({
  bytesPerSecond,
  burstBytes = bytesPerSecond,
}: {
  bytesPerSecond: number
  burstBytes?: number
}) {
  const clock = virtualClock()
  const from = new TestStream()
  const to = new TestStream()
  let counted = 0
  const stop = meter(from as unknown as Stream, to as unknown as Stream, {
    clock,
    allowances: [new ByteAllowance(clock, bytesPerSecond, burstBytes)],
    onBytes: (bytes) => (counted += bytes),
  })
  const arrive = (bytes: number): void => {
    from.arrived += bytes
    from.dispatchEvent(Object.assign(new Event('message'), { data: new Uint8Array(bytes) }))
  }
  return { clock, from, to, arrive, stop, counted: () => counted }
}
