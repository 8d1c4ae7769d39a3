import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStartable } from '@libp2p/interface'
import { systemClock } from '../../../src/clock.ts'
import { deviceGate, InboundGate } from '../../../src/network/transport/inbound-gate.ts'

test('the gate is one of the services that libp2p stops', () => {
  const peers = { isPaired: () => false, isPairing: () => false }
  assert.ok(isStartable(new InboundGate({ peers, limits: deviceGate, clock: systemClock })))
})
