import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteQueue } from '../../../src/network/session/byte-queue.ts'

test('what was appended or adopted comes out in order', () => {
  const pieces = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 9_000 }), fc.nat(9_000)))
  fc.assert(
    fc.property(pieces, (all) => {
      const queue = new ByteQueue()
      const bytes = all.map(([, length, more], index) =>
        new Uint8Array(length + more).fill(index).subarray(0, length),
      )
      bytes.forEach((each, index) => (all[index]?.[0] ? queue.adopt(each) : queue.append(each)))
      assert.equal(Buffer.compare(Buffer.concat(bytes), Buffer.concat([...drained(queue)])), 0)
      assert.equal(queue.length, 0)
    }),
    { numRuns: 200 },
  )
})

test('of one piece of memory at most one view is kept as it is, and never one that keeps much else alive', () => {
  const memory = new Uint8Array(60_000)
  const views = [memory.subarray(0, 30_000), memory.subarray(30_000), memory.subarray(0, 5_000)]
  for (const view of views) {
    const queue = new ByteQueue()
    queue.adopt(view)
    assert.notEqual(queue.take()?.buffer, memory.buffer)
  }
  const queue = new ByteQueue()
  queue.adopt(memory.subarray(0, 30_001))
  assert.equal(queue.take()?.buffer, memory.buffer)
})

test('very many tiny pieces do not cost memory each', () => {
  const queue = new ByteQueue()
  for (let count = 0; count < 4_096; count++) queue.adopt(new Uint8Array(1))
  assert.equal(queue.take()?.byteLength, 4_096)
})

function* drained(queue: ByteQueue): Generator<Uint8Array> {
  for (let taken = queue.take(); taken !== undefined; taken = queue.take()) yield taken
}
