import assert from 'node:assert/strict'
import { test } from 'node:test'
import { devicesUp, nth } from './devices-up.ts'

/** Two real processes with only the words between them; `npm run test:long` has all else that can happen to them. */

test('two devices pair with twelve words, talk both ways, and are paired and connected again after a restart', async () => {
  await using devices = await devicesUp('alice', 'bob')
  const [alice, bob] = [nth(devices, 0), nth(devices, 1)]

  const pairing = alice.spawnCli(['pair', '--yes'])
  const code = await pairing.waitForEvent('code')
  assert.deepEqual(Object.keys(code), ['event', 'words', 'uri', 'sessionId', 'expiresAt'])
  assert.equal(String(code.words).split(' ').length, 12)

  const joined = await bob.cli(['join', '--yes', '-'], { input: `${String(code.words)}\n` })
  assert.equal(joined.code, 0, joined.stderr)
  const { peerId: alicePeer, id: aliceId } = await alice.status()
  assert.deepEqual(joined.lines, [
    { event: 'paired', device: { id: aliceId, name: 'alice', peerId: alicePeer } },
  ])
  const paired = await pairing.waitForEvent('paired')
  const { peerId: bobPeer, id: bobId } = await bob.status()
  assert.deepEqual(paired, { event: 'paired', device: { id: bobId, name: 'bob', peerId: bobPeer } })
  assert.equal((await pairing.finished()).code, 0)

  const sent = await bob.cli(['send', 'alice', 'hello'])
  assert.equal(sent.code, 0, sent.stderr)
  assert.equal(sent.lines[0]?.event, 'delivered')
  const { lines: inbox } = await alice.cli(['inbox'])
  assert.equal(inbox.length, 1)
  assert.deepEqual(inbox[0]?.['from'], { id: bobId, name: 'bob' })
  assert.equal(inbox[0]?.['text'], 'hello')
  assert.equal(inbox[0]?.['id'], sent.lines[0]?.['id'])
  assert.match(String(inbox[0]?.['at']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/u)

  await Promise.all([alice.down(), bob.down()])
  await Promise.all([alice.up(), bob.up()])
  const seen = await alice.waitForState('bob', 'connected')
  const fields = ['id', 'name', 'peerId', 'state', 'path', 'limited', 'address', 'lastSeen']
  const presence = ['roundTripMs', 'connectedSince', 'lastFailure']
  assert.deepEqual(Object.keys(seen), [...fields, ...presence])
  await bob.waitForState('alice', 'connected')
  assert.equal((await alice.cli(['send', 'bob', 'still there?'])).lines[0]?.event, 'delivered')
  assert.equal((await bob.cli(['inbox'])).lines.at(-1)?.['text'], 'still there?')
})
