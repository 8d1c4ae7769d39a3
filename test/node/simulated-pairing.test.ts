import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimulation } from '../../src/testing/index.ts'

/** Pairings whose network misbehaves in a way that takes too long to wait for. */

test('a pairing succeeds although a connection that is open leads nowhere any more', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const tablet = await simulation.device('tablet')
  const { words } = await simulation.until(tablet.node.pair())
  tablet.crash()
  // Asks everybody, in vain, and is gone without a word: the phone is left with a connection.
  laptop.node.join(words).catch(() => {})
  await simulation.pass(1_000)
  simulation.partition([laptop], [phone])
  laptop.crash()
  laptop.move()
  await laptop.restart()
  simulation.heal()
  const { seenByOther } = await simulation.pair(laptop, phone)
  assert.equal(seenByOther.state, 'connected')
})
