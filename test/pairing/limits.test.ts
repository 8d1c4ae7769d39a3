import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as limits from '../../src/pairing/limits.ts'
import { refusalReasons } from '../../src/pairing/pairing-messages.ts'
import { tableOf } from './protocol-document.ts'

test('the limits are the ones of PROTOCOL.md, each with its reason', () => {
  const rows = tableOf('Limits')
  assert.deepEqual(Object.fromEntries(rows.map(([name, value]) => [name, Number(value)])), { ...limits })
  for (const [name, , why] of rows) assert.ok((why ?? '') !== '', name)
})

test('each side waits longer than the other may take', () => {
  const { responseMs, approvalMs, confirmationMs, acknowledgementMs, attemptMs, invitationLifetimeMs } =
    limits
  assert.ok(responseMs > approvalMs)
  assert.ok(confirmationMs >= approvalMs + acknowledgementMs)
  assert.ok(attemptMs < invitationLifetimeMs)
})

test('PROTOCOL.md lists the reasons for a refusal', () => {
  const listed = [...documentedReasons()]
  assert.deepEqual(listed.sort(), [...refusalReasons].sort())
})

function documentedReasons(): string[] {
  return tableOf('Reasons').map(([reason]) => reason ?? '')
}
