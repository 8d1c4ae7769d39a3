import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameRules, frameTypes, headerBytes } from '../../../src/network/session/frames.ts'
import { tableOf } from '../../pairing/protocol-document.ts'

test('a frame is laid out as PROTOCOL.md says', () => {
  const sizes = tableOf('Frames').map(([bytes]) => bytes)
  assert.deepEqual(sizes, ['4', '1', '4', 'length'])
  assert.equal(headerBytes, 4 + 1 + 4)
})

test('what a frame of each type may be is what the table of PROTOCOL.md says', () => {
  const documented = tableOf('Frames', 1).map((row) => row.slice(0, 5))
  const built = Object.entries(frameTypes).map(([name, byte]) => {
    const { payloadBytes, unitBytes, onChannel, continued } = frameRules[name as keyof typeof frameTypes]
    const [min, max] = payloadBytes
    const range = min === max ? String(min) : `${min} ${max === min + (unitBytes ?? 0) ? 'or' : 'to'} ${max}`
    const type = `0x${byte.toString(16).padStart(2, '0')}`
    return [type, name, range, onChannel ? 'yes' : 'no', continued ? 'may be' : 'no']
  })
  assert.deepEqual(documented, built)
})
