import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestCaller } from '../../../src/network/session/request-caller.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'

test('the signal aborts with the reason, whether it is read before or after', () => {
  const [early, late] = [new RequestCaller('a' as PeerId), new RequestCaller('b' as PeerId)]
  const { signal } = early
  assert.equal(signal.aborted, false)
  const reason = new Error('called off')
  for (const caller of [early, late]) {
    assert.equal(caller.isCalledOff, false)
    caller.callOff(reason)
    caller.callOff(new Error('once more'))
    assert.equal(caller.isCalledOff, true)
    assert.equal(caller.signal.reason, reason)
    assert.equal(caller.signal, caller.signal)
  }
  assert.equal(signal, early.signal)
})
