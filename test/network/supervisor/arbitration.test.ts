import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { arbitrate, type Contender } from '../../../src/network/supervisor/arbitration.ts'

test('two devices that open sessions to each other at once keep the same one, in whatever order they see them', () => {
  // Each side sees both sessions, one after the other; a session survives when neither side closes it.
  const order = fc.constantFrom(['by-smaller', 'by-larger'] as const, ['by-larger', 'by-smaller'] as const)
  fc.assert(
    fc.property(order, order, (smallerSees, largerSees) => {
      const keptBySmaller = keep(smallerSees, true)
      const keptByLarger = keep(largerSees, false)
      assert.equal(keptBySmaller, 'by-smaller')
      assert.equal(keptByLarger, 'by-smaller')
    }),
  )
})

test('a session of a restarted device replaces the old one, whoever opened which', () => {
  for (const opener of ['local', 'remote'] as const) {
    for (const previous of ['local', 'remote'] as const) {
      for (const localIsSmaller of [true, false]) {
        const current = { opener: previous, remoteInstance: 'before' }
        assert.equal(arbitrate(current, { opener, remoteInstance: 'after' }, localIsSmaller), 'replace')
      }
    }
  }
})

test('whoever opens a second session has given up the first', () => {
  for (const opener of ['local', 'remote'] as const) {
    for (const localIsSmaller of [true, false]) {
      const session: Contender = { opener, remoteInstance: 'same' }
      assert.equal(arbitrate(session, { ...session }, localIsSmaller), 'replace')
    }
  }
})

type Name = 'by-smaller' | 'by-larger'

function keep(order: readonly [Name, Name], localIsSmaller: boolean): Name {
  const contender = (name: Name): Contender => ({
    opener: (name === 'by-smaller') === localIsSmaller ? 'local' : 'remote',
    remoteInstance: 'same',
  })
  const [first, second] = order
  // The current one is alive here, so a probe finds it so.
  return arbitrate(contender(first), contender(second), localIsSmaller) === 'replace' ? second : first
}
