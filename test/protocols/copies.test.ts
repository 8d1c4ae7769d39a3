import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Device } from '../../src/api.ts'
import { Copies, type CopyReport } from '../../src/protocols/copies.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { alice, bob } from '../store/fixtures.ts'

const minuteMs = 60_000

function scene() {
  const time = virtualClock()
  const copies = new Copies({ clock: time, log: () => {} })
  const happened: string[] = []
  const reports: CopyReport[] = []
  copies.listen({
    deviceCopied: (peer) => happened.push(peer === alice ? 'alice copied' : 'bob copied'),
    identityElsewhere: (report) => reports.push(report),
    copiesGone: () => happened.push('gone'),
  })
  const told: string[] = []
  const start = (remoteInstance: string, remotePeer = alice): void => {
    time.advance(1)
    const greetedAtMs = time.monotonic()
    time.advance(1)
    copies.sessionStarted({
      remotePeer,
      remoteInstance,
      greetedAtMs,
      request: async ({ name }) => {
        told.push(`${name} ${remoteInstance}`)
        throw new Error('the other one does not know that')
      },
    })
  }
  return { time, copies, happened, reports, told, start }
}

test('a device that is started anew, however often, is one', () => {
  const { copies, happened, start } = scene()
  for (let number = 0; number < 100; number++) for (let again = 0; again < 3; again++) start(`${number}`)
  assert.deepEqual([happened, copies.peers()], [[], []])
})

test('two that take turns are told, each, and held until one is gone for ten minutes', async () => {
  const { time, copies, happened, told, start } = scene()
  for (const instance of ['a', 'b', 'a']) start(instance)
  assert.deepEqual(happened, ['alice copied'])
  assert.deepEqual([copies.has(alice), copies.has(bob), copies.peers()], [true, false, [alice]])
  await time.pass(9 * minuteMs)
  start('b')
  assert.deepEqual(told, ['spacedock-copies a', 'spacedock-copies b'])
  await time.pass(9 * minuteMs)
  assert.equal(copies.has(alice), true)
  await time.pass(minuteMs)
  assert.equal(copies.has(alice), false)
  assert.deepEqual(happened, ['alice copied', 'gone'])
  start('a')
  assert.equal(copies.has(alice), false)
  assert.equal(time.pending(), 0)
})

test('a report on this device’s own identity is told once, and is over when it is not repeated', async () => {
  const { time, copies, reports } = scene()
  const { handler } = copies.protocol
  assert.ok(handler !== undefined)
  const device = { peerId: bob as string } as Device
  const context = { device, signal: new AbortController().signal, error: () => new Error() }
  for (let round = 0; round < 3; round++) assert.deepEqual(await handler({ instances: 2 }, context), {})
  copies.announcedElsewhere('192.0.2.7')
  assert.deepEqual(reports, [{ by: bob }])
  assert.deepEqual(copies.own, { address: '192.0.2.7' })
  await time.pass(10 * minuteMs)
  assert.equal(copies.own, undefined)
  copies.announcedElsewhere('192.0.2.7')
  assert.equal(reports.length, 2)
  copies.close()
  assert.equal(time.pending(), 0)
})

test('a device that is revoked is held no more', () => {
  const { time, copies, start } = scene()
  for (const instance of ['a', 'b', 'a', 'b']) start(instance)
  copies.forget(alice)
  assert.equal(copies.has(alice), false)
  assert.equal(time.pending(), 0)
})
