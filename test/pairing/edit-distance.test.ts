import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance } from '../../src/pairing/edit-distance.ts'

const rows: [a: string, b: string, distance: number][] = [
  ['', '', 0],
  ['', 'abc', 3],
  ['abc', '', 3],
  ['phone', 'phone', 0],
  ['sucess', 'success', 1],
  ['pohne', 'phone', 1],
  ['phine', 'phone', 1],
  ['devcies', 'devices', 1],
  ['kitten', 'sitting', 3],
  ['ca', 'abc', 3],
]
for (const [a, b, distance] of rows) {
  test(`"${a}" and "${b}" are ${distance} apart`, () => {
    assert.equal(editDistance(a, b), distance)
    assert.equal(editDistance(b, a), distance)
  })
}

test('words are as far apart as they are long at most, and only the same one is at no distance', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b)
      assert.ok(distance <= Math.max(a.length, b.length))
      assert.ok(distance >= Math.abs(a.length - b.length))
      assert.equal(distance === 0, a === b)
    }),
  )
})
