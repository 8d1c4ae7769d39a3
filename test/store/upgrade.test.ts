import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { migrations } from '../../src/store/schema.ts'
import { openStore } from '../../src/store/store.ts'
import { compareRows, trustSealer, type TrustRecord } from '../../src/store/trust-record.ts'
import {
  accept,
  activeRecord,
  alice,
  assertFails,
  bob,
  carol,
  queue,
  temporaryDirectory,
} from './fixtures.ts'

/** A data directory as the first version of the schema left it, written with its own SQL. */
function directoryOfVersion1(context: TestContext): { directory: string; path: string } {
  const directory = temporaryDirectory(context)
  const path = join(directory, 'spacedock.db')
  const identity = loadOrCreateIdentity(directory)
  const sealer = trustSealer(identity.seed)
  const records: TrustRecord[] = [
    activeRecord(alice, 'alice'),
    { ...activeRecord(bob, 'bob'), acknowledgement: new Uint8Array(32).fill(1) },
    { ...activeRecord(carol, 'carol'), state: 'revoked', pairKey: new Uint8Array() },
  ]
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL')
  for (const statement of migrations[0] ?? []) database.exec(statement)
  database.exec('PRAGMA user_version = 1')
  const insertTrust = database.prepare('INSERT INTO trust VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  for (const record of records) {
    const { peerId, name, state, pairKey, acknowledgement, pairedAtMs, changedAtMs } = record
    const key = pairKey.length === 0 ? null : pairKey
    const mac = sealer.row(record)
    insertTrust.run(peerId, 'settled', name, state, key, acknowledgement, pairedAtMs, changedAtMs, mac)
  }
  const macs = records.toSorted(compareRows).map((record) => sealer.row(record))
  database.prepare('INSERT INTO seal VALUES (1, 4, ?)').run(sealer.registry(4, macs))
  for (const box of ['inbox', 'outbox']) {
    const insert = database.prepare(`INSERT INTO ${box} VALUES (?, ?, ?, 'text', ?, ?)`)
    for (const number of [7, 9]) insert.run(number, `${box}-${number}`, alice, Buffer.from('hello'), 1_000)
  }
  // It was the tenth that was there last.
  database.exec(`UPDATE sqlite_sequence SET seq = 10 WHERE name = 'inbox'`)
  database.prepare(`INSERT INTO seen VALUES (?, 'inbox-9', 9)`).run(alice)
  database.close()
  chmodSync(path, 0o600)
  identity.stageGeneration(4).publish()
  return { directory, path }
}

test('a database of the first version is upgraded, and all that it held is there', (context) => {
  const { directory } = directoryOfVersion1(context)
  for (const round of ['upgraded', 'opened again']) {
    const store = openStore({ dataDir: directory })
    assert.deepEqual(store.trust.get(alice), activeRecord(alice, 'alice'), round)
    assert.equal(store.trust.get(carol)?.state, 'revoked')
    assert.deepEqual(
      store.outbox.list().map(({ id, sequence, expiresAtMs }) => [id, sequence, expiresAtMs]),
      [
        ['outbox-7', 7, null],
        ['outbox-9', 9, null],
      ],
    )
    assert.deepEqual(
      store.inbox.list().map(({ id, sequence, body }) => [id, sequence, body]),
      [
        ['inbox-7', 7, 'hello'],
        ['inbox-9', 9, 'hello'],
      ],
    )
    store.close()
  }
  const store = openStore({ dataDir: directory })
  const message = { peerId: alice, kind: 'text', body: 'hello', atMs: 0 } as const
  assert.equal(accept(store.inbox, { ...message, id: 'inbox-9' }).outcome, 'duplicate')
  assert.ok(accept(store.inbox, { ...message, id: 'new' }).sequence > 10)
  assert.equal(queue(store.outbox, { ...message, id: 'new' }).sequence, 10)
  store.trust.revoke(bob)
  assert.equal(store.trust.get(bob)?.revocationNotice?.length, 32)
  store.close()
})

test('an upgrade that cannot be finished changes nothing', (context) => {
  const { directory, path } = directoryOfVersion1(context)
  const last = migrations.at(-1) as string[]
  last.push('CREATE TABLE inbox (a)')
  try {
    assertFails(() => openStore({ dataDir: directory }), 'internal')
  } finally {
    last.pop()
  }
  assert.equal(versionOf(path), 1)
  const store = openStore({ dataDir: directory })
  assert.equal(store.inbox.list().length, 2)
  store.close()
})

test('a database of the first version that cannot be trusted is refused before it is upgraded', (context) => {
  const { directory, path } = directoryOfVersion1(context)
  loadOrCreateIdentity(directory).stageGeneration(5).publish()
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /older copy/)
  assert.equal(versionOf(path), 1)
  const other = directoryOfVersion1(context)
  writeFileSync(path, readFileSync(other.path))
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
  assert.equal(versionOf(path), 1)
})

function versionOf(path: string): unknown {
  const database = new DatabaseSync(path)
  try {
    return database.prepare('PRAGMA user_version').get()?.['user_version']
  } finally {
    database.close()
  }
}
