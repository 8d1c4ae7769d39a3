import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { inOrderOfTrial, raceAddresses } from '../../../src/network/transport/address-race.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'

/** Addresses by name, and what becomes of each after how long. */
interface Fate {
  afterMs: number
  outcome: 'answers' | 'refuses' | 'silent'
}

function race(fates: Record<string, Fate>, signal = new AbortController().signal) {
  const clock = virtualClock()
  const dialled: { name: string; atMs: number; signal: AbortSignal }[] = []
  const result = raceAddresses(
    Object.keys(fates),
    (name, { signal: own }) =>
      new Promise<string>((resolve, reject) => {
        dialled.push({ name, atMs: clock.monotonic(), signal: own })
        const { afterMs, outcome } = fates[name] ?? { afterMs: 0, outcome: 'silent' }
        if (outcome === 'silent') return
        clock.after(afterMs, () => (outcome === 'answers' ? resolve(name) : reject(new Error(name))))
      }),
    { signal, clock },
  )
  const settled = result.then(
    (winner) => winner,
    (error: unknown) => error,
  )
  return { clock, dialled, settled, times: () => dialled.map(({ name, atMs }) => `${name} ${atMs}`) }
}

test('an address that does not answer delays the next by a quarter of a second', async () => {
  const { clock, settled, times } = race({
    dead: { afterMs: 0, outcome: 'silent' },
    alive: { afterMs: 20, outcome: 'answers' },
    later: { afterMs: 0, outcome: 'answers' },
  })
  await clock.pass(10_000)
  assert.equal(await settled, 'alive')
  assert.deepEqual(times(), ['dead 0', 'alive 250'])
  assert.equal(clock.pending(), 0)
})

test('after an address that refuses, the next is tried at once', async () => {
  const { clock, settled, times } = race({
    first: { afterMs: 10, outcome: 'refuses' },
    second: { afterMs: 10, outcome: 'refuses' },
    third: { afterMs: 10, outcome: 'answers' },
  })
  await clock.pass(10_000)
  assert.equal(await settled, 'third')
  assert.deepEqual(times(), ['first 0', 'second 10', 'third 20'])
})

test('the attempts that lost are called off, and the one that won is left alone', async () => {
  const { clock, settled, dialled } = race({
    dead: { afterMs: 0, outcome: 'silent' },
    alive: { afterMs: 0, outcome: 'answers' },
  })
  await clock.pass(10_000)
  assert.equal(await settled, 'alive')
  assert.deepEqual(
    dialled.map(({ signal }) => signal.aborted),
    [true, false],
  )
})

test('when all have failed it says so, with every reason', async () => {
  const { clock, settled } = race({
    first: { afterMs: 1, outcome: 'refuses' },
    second: { afterMs: 900, outcome: 'refuses' },
  })
  await clock.pass(10_000)
  const error = await settled
  assert.ok(error instanceof AggregateError)
  assert.deepEqual(
    error.errors.map(({ message }: Error) => message),
    ['first', 'second'],
  )
  const { settled: none } = race({})
  assert.ok((await none) instanceof AggregateError)
})

test('called off, it calls all attempts off and rejects with the reason', async () => {
  const caller = new AbortController()
  const reason = new Error('not wanted any more')
  const { clock, settled, dialled } = race(
    { dead: { afterMs: 0, outcome: 'silent' }, more: { afterMs: 0, outcome: 'silent' } },
    caller.signal,
  )
  await clock.pass(100)
  caller.abort(reason)
  await turns()
  assert.equal(await settled, reason)
  assert.deepEqual(
    dialled.map(({ signal }) => signal.aborted),
    [true],
  )
  assert.equal(clock.pending(), 0)
})

test('direct addresses come before relays, but a relay waits for four of them at most', () => {
  const direct = Array.from({ length: 6 }, (_, index) => multiaddr(`/ip4/192.0.2.${index + 1}/tcp/1`))
  const relayed = [1, 2].map((port) => multiaddr(`/ip4/198.51.100.1/tcp/${port}/p2p-circuit`))
  const [d1, d2, d3, d4, d5, d6] = direct
  const [r1, r2] = relayed
  assert.deepEqual(inOrderOfTrial([...relayed, ...direct]), [d1, d2, d3, d4, r1, d5, d6, r2])
  assert.deepEqual(inOrderOfTrial(relayed), relayed)
})
