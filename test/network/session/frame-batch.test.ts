import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameBatch } from '../../../src/network/session/frame-batch.ts'
import { encodeFrames, type Frame } from '../../../src/network/session/frames.ts'

test('what was appended leaves in one piece, and what it was made of may have changed by then', () => {
  const batch = new FrameBatch()
  for (const sizes of [[10, 0], [60_000, 64, 65_536], Array.from({ length: 40 }, () => 65_536)]) {
    const frames = sizes.map((size, index) => data(new Uint8Array(size).fill(index)))
    const expected = encodeFrames(frames)
    for (const each of frames) {
      batch.append([each])
      each.payload.fill(99)
    }
    assert.equal(batch.length, expected.byteLength)
    assert.equal(Buffer.compare(left(batch), expected), 0)
    assert.equal(batch.length, 0)
  }
})

test('two sessions never use the same memory at the same time', () => {
  const [one, other] = [new FrameBatch(), new FrameBatch()]
  left(filled(new FrameBatch(), 9))
  filled(one, 1)
  filled(other, 2)
  assert.deepEqual(left(one), Buffer.from(encodeFrames([data(new Uint8Array(100).fill(1))])))
  assert.deepEqual(left(other), Buffer.from(encodeFrames([data(new Uint8Array(100).fill(2))])))
})

function filled(batch: FrameBatch, byte: number): FrameBatch {
  batch.append([data(new Uint8Array(100).fill(byte))])
  return batch
}

function data(payload: Uint8Array): Frame {
  return { type: 'data', more: false, channel: 1, payload }
}

function left(batch: FrameBatch): Buffer {
  let copy: Buffer | undefined
  batch.leave((bytes) => (copy = Buffer.from(bytes)))
  assert.ok(copy)
  return copy
}
