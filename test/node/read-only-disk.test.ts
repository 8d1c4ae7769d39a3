import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failingDisk, whyNoFailingDisk } from '../store/failing-disk.ts'
import { nextEvent, TestNodes, untilState } from './nodes.ts'

test(
  'on a disk that became read-only sessions go on, what cannot be kept is refused with the reason, and revoke cuts off',
  { skip: whyNoFailingDisk && `NOT TESTED: ${whyNoFailingDisk}` },
  async (context) => {
    const disk = failingDisk(context)
    await using nodes = new TestNodes()
    const { alice, bob, aliceAtBob, bobAtAlice } = await nodes.pair({ dataDir: disk.directory })
    disk.fail()

    await bobAtAlice.ping()
    const unusable = { code: 'directory-unusable', message: /its disk is read-only/ }
    await assert.rejects(bobAtAlice.send('hello'), unusable)
    await assert.rejects(bobAtAlice.rename('robert'), unusable)
    void aliceAtBob.send('hello')
    await aliceAtBob.ping()

    const told = nextEvent(bob, 'device:needs-pairing')
    await assert.rejects(bobAtAlice.revoke(), {
      code: 'directory-unusable',
      message:
        /^The device "bob" is cut off, but that could not be written down: .* its disk is read-only\.$/,
      hint: /make it writable, and leave Spacedock running until then/,
    })
    assert.equal(bobAtAlice.state, 'revoked')
    await told
    await untilState(bob, aliceAtBob, 'needs-pairing')
    assert.deepEqual([bob.outbox().length, alice.inbox()], [1, []])
    assert.deepEqual(
      alice.status().notices.map(({ code }) => code),
      ['revocation-unwritten'],
    )
  },
)
