import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMemoryStore, openStore, type Store } from '../../src/store/store.ts'
import { activeRecord, alice, assertFails, bob, temporaryDirectory } from './fixtures.ts'

const kinds: [string, (directory: string) => Store][] = [
  ['on disk', (directory) => openStore({ dataDir: directory })],
  ['in memory', () => openMemoryStore()],
]

for (const [name, open] of kinds) {
  test(`a store ${name} serves all its parts, and nothing after close`, (context) => {
    const store = open(temporaryDirectory(context))
    assert.equal(store.identity.seed.length, 32)
    assert.deepEqual(store.settings.get(), { name: null, port: null })
    store.settings.update({ name: 'here' })
    store.settings.update({ port: 4_001 })
    assert.deepEqual(store.settings.get(), { name: 'here', port: 4_001 })
    store.contacts.reached(alice, '/ip4/192.0.2.1/tcp/1', 10)
    store.contacts.reached(alice, null, 20)
    assert.deepEqual(store.contacts.get(alice), { addresses: ['/ip4/192.0.2.1/tcp/1'], lastSeenMs: 20 })
    store.trust.put(activeRecord(alice, 'alice'))
    assert.equal(store.registry.find('alice').peerId, alice)
    store.close()
    store.close()
    assertFails(() => store.trust.put(activeRecord(bob, 'bob')), 'closed')
    assertFails(() => store.outbox.list(), 'closed')
    assertFails(() => store.inbox.list(), 'closed')
    assertFails(() => store.settings.update({ port: 1 }), 'closed')
  })
}

test('settings and contacts survive a restart', (context) => {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  store.settings.update({ name: 'here', port: 65_535 })
  for (let port = 1; port <= 10; port += 1) store.contacts.reached(alice, `/ip4/192.0.2.1/tcp/${port}`, port)
  store.contacts.reached(alice, '/ip4/192.0.2.1/tcp/5', 11)
  store.contacts.reached(bob, null, 12)
  store.contacts.remove(bob)
  store.close()
  const again = openStore({ dataDir: directory })
  assert.deepEqual(again.settings.get(), { name: 'here', port: 65_535 })
  const ports = [5, 10, 9, 8, 7, 6, 4, 3]
  const addresses = ports.map((port) => `/ip4/192.0.2.1/tcp/${port}`)
  assert.deepEqual(again.contacts.get(alice), { addresses, lastSeenMs: 11 })
  assert.equal(again.contacts.get(bob), undefined)
  again.close()
})

test('a port or a name that makes no sense is not stored', () => {
  const { settings } = openMemoryStore()
  for (const values of [{ port: 0 }, { port: 65_536 }, { port: 1.5 }, { name: '' }]) {
    assertFails(() => settings.update(values), 'invalid-argument')
  }
  assert.deepEqual(settings.get(), { name: null, port: null })
})

test('the seed of a store in memory can be given', () => {
  const seed = new Uint8Array(32)
  seed[3] = 1
  assert.equal(openMemoryStore({ seed }).identity.peerId, alice)
  assertFails(() => openMemoryStore({ seed: new Uint8Array(31) }), 'invalid-argument')
})
