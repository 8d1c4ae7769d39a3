import { advance as advanceInitiator } from '../../src/pairing/initiator.ts'
import { advance as advanceJoiner } from '../../src/pairing/joiner.ts'
import { fakeSuite } from './fake-suite.ts'
import type { Subject } from './world.ts'

/** The machines as they are. */
export const shipped: Subject = {
  name: 'the shipped machines',
  initiator: advanceInitiator,
  joiner: advanceJoiner,
  suite: fakeSuite,
  heals: true,
}
