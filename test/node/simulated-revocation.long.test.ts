import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { defineEvent, defineProtocol } from '../../src/index.ts'
import { createSimulation, simulate } from '../../src/testing/index.ts'

/** Revocations at the worst moment, found by random stories. */

test('a device that is revoked just when the two are paired again knows it in the end, whatever is lost', async () => {
  const faults = { delayMs: [1, 40], drop: 0.2 } as const
  await simulate({ seeds: 40, faults }, async (simulation) => {
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
    const invitation = await simulation.until(laptop.node.pair())
    const joining = phone.node.join(invitation.words).catch(() => null)
    await simulation.until(invitation.paired, { withinMs: 300_000 })
    await simulation.until(seenByOne.revoke())
    await simulation.until(joining, { withinMs: 300_000 })
    await simulation.until(() => seenByOther.needsPairing === 'revoked', { withinMs: 600_000 })
  })
})

test('what an earlier pairing’s end is answered with does not end the next one', async () => {
  const faults = { delayMs: [20, 60], drop: 0.05 } as const
  await simulate({ seeds: 60, faults }, async (simulation) => {
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
    simulation.partition([laptop], [phone])
    await simulation.until(seenByOne.revoke())
    await simulation.pass(20_000)
    simulation.heal()
    const invitation = await simulation.until(laptop.node.pair())
    const joining = phone.node.join(invitation.words)
    await simulation.until(Promise.all([invitation.paired, joining]), { withinMs: 300_000 })
    await simulation.until(() => seenByOne.state === 'connected' && seenByOther.state === 'connected')
  })
})

test('no handler runs for a device that was revoked while its request was being looked at', async () => {
  const gate = Promise.withResolvers<void>()
  let looking = 0
  const slow = v.pipeAsync(
    v.string(),
    v.checkAsync(async () => {
      looking++
      await gate.promise
      return true
    }),
  )
  const ask = defineProtocol({ name: 'ask', version: 1, request: slow, response: v.string() })
  const tell = defineEvent({ name: 'tell', version: 1, event: slow })
  const handled: string[] = []
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop', {
    setUp(node) {
      node.handle({ ...ask, handler: (text) => (handled.push(text), text) })
      node.handle({ ...tell, handler: (text) => void handled.push(text) })
    },
  })
  const phone = await simulation.device('phone')
  const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
  const plain = v.string()
  const asking = seenByOther.request({ ...ask, request: plain }, 'asked')
  asking.catch(() => {})
  await simulation.until(seenByOther.emit({ ...tell, event: plain }, 'told'))
  await simulation.until(() => looking === 2)
  await simulation.until(seenByOne.revoke())
  gate.resolve()
  await simulation.pass(1_000)
  assert.deepEqual(handled, [])
})

test('what is sent in the turn in which its device is revoked goes nowhere, and says so', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne } = await simulation.pair(laptop, phone)
  phone.sleep()
  const waiting = seenByOne.send('waits for its receipt')
  waiting.catch(() => {})
  await simulation.pass(100)
  const sending = seenByOne.send('in the same turn')
  sending.catch(() => {})
  const revoking = Promise.all([seenByOne.revoke(), seenByOne.revoke()])
  await assert.rejects(simulation.until(sending), { code: 'not-paired' })
  await assert.rejects(simulation.until(waiting), { code: 'not-paired' })
  await simulation.until(revoking)
  assert.deepEqual(laptop.node.outbox(), [])
})

test('a device that is revoked twice at once is told', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
  await simulation.until(Promise.all([seenByOne.revoke(), seenByOne.revoke()]))
  assert.equal(seenByOther.needsPairing, 'revoked')
})
