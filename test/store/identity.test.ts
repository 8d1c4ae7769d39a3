import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { systemClock } from '../../src/clock.ts'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { openStore } from '../../src/store/store.ts'
import {
  activeRecord,
  alice,
  assertFails,
  bob,
  carol,
  pendingRecord,
  temporaryDirectory,
} from './fixtures.ts'

test('an identity is made once and stays', (context) => {
  const directory = temporaryDirectory(context)
  const first = loadOrCreateIdentity(directory)
  const second = loadOrCreateIdentity(directory)
  assert.equal(first.seed.length, 32)
  assert.deepEqual(second.seed, first.seed)
  assert.equal(second.peerId, first.peerId)
  assert.equal(second.registryGeneration, 0)
  assert.notEqual(loadOrCreateIdentity(temporaryDirectory(context)).peerId, first.peerId)
})

test('the peer id is the one libp2p derives from the seed', async (context) => {
  const identity = loadOrCreateIdentity(temporaryDirectory(context))
  const privateKey = await generateKeyPairFromSeed('Ed25519', identity.seed)
  assert.equal(identity.peerId, peerIdFromPrivateKey(privateKey).toString())
})

test('a staged generation counts when it is published', (context) => {
  const directory = temporaryDirectory(context)
  const identity = loadOrCreateIdentity(directory)
  const staged = identity.stageGeneration(5)
  assert.equal(identity.registryGeneration, 0)
  staged.publish()
  assert.equal(identity.registryGeneration, 5)
  assert.equal(loadOrCreateIdentity(directory).registryGeneration, 5)
})

test('threat 29: every flipped bit of the identity file is noticed, and the file is left as it is', (context) => {
  const directory = temporaryDirectory(context)
  loadOrCreateIdentity(directory).stageGeneration(12).publish()
  const path = join(directory, 'identity.json')
  const original = readFileSync(path)
  for (let bit = 0; bit < original.length * 8; bit += 1) {
    const changed = Buffer.from(original)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    writeFileSync(path, changed)
    assertFails(() => loadOrCreateIdentity(directory), 'identity-damaged')
    assert.deepEqual(readFileSync(path), changed, `bit ${bit}`)
  }
})

test('threat 29: an identity file cut short, emptied, lengthened or rewritten in another style is refused', (context) => {
  const directory = temporaryDirectory(context)
  loadOrCreateIdentity(directory)
  const path = join(directory, 'identity.json')
  const original = readFileSync(path, 'utf8')
  const fields = JSON.parse(original) as Record<string, unknown>
  const texts = [
    `${original}\n`,
    original.replace(',', ', '),
    original.replace('"registryGeneration":0', '"registryGeneration":-0'),
    original.replace('"format":1', '"format":1,"format":1'),
    JSON.stringify({ ...fields, extra: 1 }),
    'null',
    ' '.repeat(5_000),
  ]
  for (const text of texts) {
    writeFileSync(path, text)
    assertFails(() => loadOrCreateIdentity(directory), 'identity-damaged')
  }
  writeFileSync(path, original)
  for (let length = original.length - 1; length >= 0; length -= 1) {
    truncateSync(path, length)
    assertFails(() => loadOrCreateIdentity(directory), 'identity-damaged')
  }
})

test('the error about a damaged identity does not show the seed', (context) => {
  const directory = temporaryDirectory(context)
  const seed = Buffer.from(loadOrCreateIdentity(directory).seed).toString('base64url')
  writeFileSync(join(directory, 'identity.json'), `"${seed}`)
  const error = assertFails(() => loadOrCreateIdentity(directory), 'identity-damaged')
  assert.equal(error.cause, undefined)
  assert.ok(!`${error.stack}${error.hint}`.includes(seed.slice(0, 8)))
})

test('threat 29: a missing identity file beside a database is refused, never replaced by a new identity', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  store.trust.put(activeRecord(alice, 'alice'))
  store.close()
  rmSync(join(directory, 'identity.json'))
  assertFails(() => openStore({ dataDir: directory }), 'identity-damaged', /missing/)
  assert.equal(existsSync(join(directory, 'identity.json')), false)
})

test('the identity file follows a moment after a device was added, and at once when something is taken away', (context) => {
  const dataDir = temporaryDirectory(context)
  const waiting = new Set<() => void>()
  const after = (delayMs: number, callback: () => void): (() => void) => {
    if (delayMs <= 1_000) waiting.add(callback)
    return () => void waiting.delete(callback)
  }
  const counted = (): unknown =>
    (JSON.parse(readFileSync(join(dataDir, 'identity.json'), 'utf8')) as { registryGeneration: number })
      .registryGeneration
  const store = openStore({ dataDir, clock: { ...systemClock, after } })
  assert.equal(counted(), 1)

  store.trust.put(pendingRecord(bob, 'bob'))
  store.trust.activate(bob)
  assert.deepEqual([counted(), waiting.size], [1, 1])
  for (const callback of waiting) callback()
  assert.equal(counted(), 3)

  store.trust.put(activeRecord(carol, 'carol'))
  store.trust.revoke(bob)
  assert.deepEqual([counted(), waiting.size], [5, 0])
  store.trust.put({ ...activeRecord(carol, 'carol'), pairKey: new Uint8Array(32).fill(7) })
  assert.deepEqual([counted(), waiting.size], [6, 0])

  store.trust.put(pendingRecord(alice, 'alice'))
  assert.equal(counted(), 6)
  // Another code, before the first pairing was finished: that one's key is of no use any more.
  store.trust.put({ ...pendingRecord(alice, 'alice'), pairKey: new Uint8Array(32).fill(7) })
  assert.equal(counted(), 8)
  store.trust.activate(alice)
  assert.equal(counted(), 8)
  store.close()
  assert.equal(counted(), 9)
})
