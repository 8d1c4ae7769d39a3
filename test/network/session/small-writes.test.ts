import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmallWrites } from '../../../src/network/session/small-writes.ts'

test('what fits comes out in order, however it is taken, and what was written may change', () => {
  const steps = fc.array(fc.record({ write: fc.nat(700), take: fc.nat(900) }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (all) => {
      const writes = new SmallWrites(2_000)
      const wanted: number[] = []
      const come: number[] = []
      let next = 0
      for (const { write, take } of all) {
        const bytes = Uint8Array.from({ length: write }, () => next++)
        assert.equal(writes.fits(bytes), wanted.length - come.length + write <= 2_000)
        if (writes.fits(bytes)) {
          writes.append(bytes)
          wanted.push(...bytes)
        }
        bytes.fill(99)
        const taken = writes.take(take)
        assert.ok(taken === undefined || (taken.byteLength > 0 && taken.byteLength <= take))
        come.push(...(taken ?? []))
        assert.equal(writes.length, wanted.length - come.length)
      }
      come.push(...(writes.take(2_000) ?? []))
      assert.deepEqual(come, wanted)
    }),
  )
})

test('the same memory serves all of them', () => {
  const writes = new SmallWrites(4_096)
  const memories = new Set<ArrayBufferLike | undefined>()
  for (let count = 0; count < 100; count++) {
    writes.append(new Uint8Array(500))
    memories.add(writes.take(4_096)?.buffer)
  }
  assert.equal(memories.size, 1)
})

test('what was dropped does not come, and what follows does', () => {
  const writes = new SmallWrites(100)
  writes.append(Uint8Array.of(1, 2))
  writes.clear()
  assert.equal(writes.take(10), undefined)
  writes.append(Uint8Array.of(3))
  assert.deepEqual(writes.take(10), Uint8Array.of(3))
})
