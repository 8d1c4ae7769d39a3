import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { InboundTurns } from '../../../src/network/transport/inbound-turns.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

function makeTurns(inARow = 2) {
  const clock = virtualClock()
  const turns = new InboundTurns({ pace: { everyMs: 100, inARow }, clock })
  const admitted: string[] = []
  const refused: string[] = []
  const arrive = (host: string, name = host): void => {
    void turns.turn(multiaddr(`/ip4/${host}/tcp/1`)).then((is) => (is ? admitted : refused).push(name))
  }
  return { clock, turns, admitted, refused, arrive }
}

test('who comes alone is let in at once', async () => {
  const { clock, admitted, arrive } = makeTurns()
  arrive('10.0.0.1')
  arrive('10.0.0.2')
  await clock.pass(0)
  assert.deepEqual(admitted, ['10.0.0.1', '10.0.0.2'])
  assert.equal(clock.pending(), 0)
})

test('threat 42: beyond the pace networks take turns, so that a crowd from one address delays nobody else', async () => {
  const { clock, admitted, arrive } = makeTurns()
  for (let index = 0; index < 50; index++) arrive('10.0.0.9', `crowd${index}`)
  arrive('10.0.0.1', 'alice')
  await clock.pass(0)
  assert.deepEqual(admitted, ['crowd0', 'crowd1'])
  await clock.pass(200)
  assert.ok(admitted.includes('alice'))
  assert.equal(admitted.length, 4)
})

test('threat 42: of those that wait, 128 are kept; the network with the most loses its oldest', async () => {
  const { clock, turns, refused, arrive } = makeTurns(1)
  arrive('10.0.0.9', 'first')
  arrive('10.0.0.1', 'alice')
  for (let index = 0; index < 200; index++) arrive('10.0.0.9', `crowd${index}`)
  await clock.pass(0)
  assert.equal(refused.length, 200 + 1 - 128)
  assert.ok(!refused.includes('alice'))
  turns.stop()
  await clock.pass(0)
  assert.equal(refused.length, 201)
  assert.equal(clock.pending(), 0)
})
