import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { FirstBytes } from '../../../src/network/transport/first-bytes.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { socketPair } from '../session/tls-pair.ts'

test('the first byte is told, and can still be read', async () => {
  const [near, far] = await socketPair()
  const firstBytes = new FirstBytes({ clock: virtualClock() })
  const told = new Promise<number>((resolve) => firstBytes.read(far, 'here', resolve))
  near.write('hello')
  assert.equal(await told, 'h'.charCodeAt(0))
  assert.equal(firstBytes.size, 0)
  const [chunk] = (await once(far, 'data')) as [Buffer]
  assert.match(chunk.toString(), /^h/u)
  near.destroy()
  far.destroy()
})

test('where there is no room, the network with the most loses its oldest; what ends leaves at once', async () => {
  const firstBytes = new FirstBytes({ clock: virtualClock(), maxWaiting: 3 })
  const pairs = await Promise.all(Array.from({ length: 4 }, () => socketPair()))
  const networks = ['one', 'crowd', 'crowd', 'other']
  for (const [index, [, far]] of pairs.entries())
    firstBytes.read(far, networks[index] ?? '', () => assert.fail('nothing was sent'))
  assert.deepEqual(
    pairs.map(([, far]) => far.destroyed),
    [false, true, false, false],
  )
  assert.equal(firstBytes.size, 3)
  const [near, far] = pairs[0] ?? assert.fail()
  near.end()
  await once(far, 'close')
  assert.equal(firstBytes.size, 2)
  firstBytes.stop()
  assert.equal(firstBytes.size, 0)
  for (const [each] of pairs) each.destroy()
})
