import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimulation } from '../../src/testing/index.ts'
import type { NodeEvents } from '../../src/index.ts'

test('after pairing again the devices can be used at once, as after the first time', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne } = await simulation.pair(laptop, phone)
  await simulation.until(seenByOne.revoke())
  await simulation.pass(1_000)
  const invitation = await simulation.until(laptop.node.pair())
  const joining = phone.node.join(invitation.words)
  const [seenByLaptop, seenByPhone] = await simulation.until(Promise.all([invitation.paired, joining]))
  assert.deepEqual([seenByLaptop.state, seenByLaptop.lastFailure], ['paired', null])
  const used = Promise.all([
    seenByLaptop.ping(),
    seenByPhone.ping(),
    seenByLaptop.send('a'),
    seenByPhone.send('b'),
  ])
  const [, , ...sent] = await simulation.until(used)
  assert.deepEqual(
    sent.map(({ status }) => status),
    ['delivered', 'delivered'],
  )
})

test('a device that is not there when this one starts is told as news, with the reason', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop', {
    setUp: (node) => node.addEventListener('device:updated', ({ detail }) => updates.push(detail)),
  })
  const phone = await simulation.device('phone')
  const updates: NodeEvents['device:updated'][] = []
  await simulation.pair(laptop, phone)
  phone.crash()
  laptop.crash()
  updates.length = 0
  await laptop.restart()
  await simulation.until(() => updates.length > 0)
  assert.deepEqual([updates[0]?.state, updates[0]?.lastFailure?.code], ['disconnected', 'offline'])
})

test('a ping to a device that stands still says that it is not connected', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne } = await simulation.pair(laptop, phone)
  phone.sleep()
  await assert.rejects(simulation.until(seenByOne.ping()), { code: 'offline' })
  assert.ok(simulation.now() < 15_000)
})
