import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import * as v from 'valibot'
import { schemaVersion } from '../../src/store/schema.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openStore } from '../../src/store/store.ts'
import {
  accept,
  activeRecord,
  alice,
  assertFails,
  bob,
  carol,
  execute,
  temporaryDirectory,
} from './fixtures.ts'

function closedStore(context: TestContext): { directory: string; path: string } {
  const directory = temporaryDirectory(context)
  const store = openStore({ dataDir: directory })
  store.trust.put(activeRecord(alice, 'alice'))
  store.trust.put(activeRecord(bob, 'bob'))
  for (let number = 0; number < 30; number += 1) {
    accept(store.inbox, {
      id: `id-${number}`,
      peerId: alice,
      kind: 'text',
      body: 'x'.repeat(1_000),
      atMs: number,
    })
  }
  store.close()
  return { directory, path: join(directory, 'spacedock.db') }
}

test('threat 29: a database cut short at any length is refused and left as it is', (context) => {
  const { directory, path } = closedStore(context)
  const original = readFileSync(path)
  const lengths = [0, 1, 15, 16, 99, 100, 511, 512, 4_095, original.length - 1]
  for (let length = 4_096; length < original.length; length += 4_096) lengths.push(length, length + 100)
  for (const length of lengths) {
    writeFileSync(path, original)
    truncateSync(path, length)
    assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /backup/)
    assert.deepEqual(readFileSync(path), original.subarray(0, length), `length ${length}`)
  }
  writeFileSync(path, original)
  openStore({ dataDir: directory }).close()
})

test('threat 29: a database that is gone, garbage, or of another program is refused', (context) => {
  const { directory, path } = closedStore(context)
  rmSync(path)
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /missing/)
  for (const content of [
    Buffer.alloc(20_000),
    Buffer.alloc(20_000, 0x5a),
    Buffer.from('SQLite format 3\0'),
  ]) {
    writeFileSync(path, content, { mode: 0o600 })
    assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
  }
  rmSync(path)
  writeFileSync(path, '', { mode: 0o600 })
  execute(path, 'CREATE TABLE trust (peer_id TEXT)')
  execute(path, 'PRAGMA user_version = 1')
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /tables/)
})

test('threat 29: the database of another device, even a new one, is refused', (context) => {
  const { directory, path } = closedStore(context)
  const other = closedStore(context)
  copyFileSync(other.path, path)
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
  const fresh = temporaryDirectory(context)
  openStore({ dataDir: fresh }).close()
  copyFileSync(join(fresh, 'spacedock.db'), path)
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
})

test('threat 29: a broken page anywhere is refused', (context) => {
  const { directory, path } = closedStore(context)
  const original = readFileSync(path)
  for (let page = 0; page < original.length / 4_096; page += 1) {
    const changed = Buffer.from(original)
    changed.fill(0xff, page * 4_096, page * 4_096 + 64)
    writeFileSync(path, changed)
    assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
  }
})

test('a trigger, view or table that was slipped in is refused', (context) => {
  const { directory, path } = closedStore(context)
  const original = readFileSync(path)
  for (const sql of [
    'CREATE TRIGGER extra AFTER DELETE ON outbox BEGIN DELETE FROM inbox; END',
    'CREATE VIEW extra AS SELECT 1',
    'CREATE TABLE extra (a)',
    'DROP INDEX outbox_by_peer',
    'ALTER TABLE contacts ADD COLUMN extra TEXT',
  ]) {
    writeFileSync(path, original)
    execute(path, sql)
    assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /tables/)
  }
})

test('a database of a newer version is refused and left as it is', (context) => {
  const { directory, path } = closedStore(context)
  execute(path, `PRAGMA user_version = ${schemaVersion + 1}`)
  const before = readFileSync(path)
  const identity = readFileSync(join(directory, 'identity.json'))
  assertFails(() => openStore({ dataDir: directory }), 'database-newer', /newest version/)
  assert.deepEqual(readFileSync(path), before)
  assert.deepEqual(readFileSync(join(directory, 'identity.json')), identity)
  execute(path, `PRAGMA user_version = ${schemaVersion}`)
  openStore({ dataDir: directory }).close()
})

test('rows that no version writes are refused', (context) => {
  const { directory, path } = closedStore(context)
  const original = readFileSync(path)
  for (const sql of [
    `INSERT INTO contacts VALUES ('${carol}', 'not json', 1)`,
    `INSERT INTO contacts VALUES ('${carol}', '[1]', 1)`,
    `INSERT INTO contacts VALUES ('${carol}', '[]', 9223372036854775807)`,
    `INSERT INTO settings VALUES ('device', '{"name":3,"port":null}')`,
    `INSERT INTO contacts VALUES ('${carol}', '[]', 8650000000000000)`,
    `INSERT INTO settings VALUES ('device', '{')`,
  ]) {
    writeFileSync(path, original)
    execute(path, sql)
    assertFails(() => openStore({ dataDir: directory }), 'database-damaged')
  }
  writeFileSync(path, original)
  execute(path, `UPDATE inbox SET kind = 'picture'`)
  const store = openStore({ dataDir: directory })
  assertFails(() => store.inbox.list(), 'database-damaged')
  store.close()
})

test('a transaction is all or nothing, and the next one works', () => {
  const database = openDatabase(':memory:', { mayCreate: true })
  const insert = database.command('INSERT INTO settings VALUES (?, ?)')
  const count = database.query('SELECT COUNT(*) AS count FROM settings', v.object({ count: v.number() }))
  const failure = new Error('from inside')
  assertFails(
    () =>
      database.transaction(() => {
        insert.run('a', 'b')
        throw failure
      }),
    'internal',
  )
  assert.deepEqual(count.get(), { count: 0 })
  database.transaction(() => insert.run('a', 'b'))
  assert.deepEqual(count.get(), { count: 1 })
  database.close()
  database.close()
  assertFails(() => count.get(), 'closed')
  assertFails(() => database.transaction(() => undefined), 'closed')
})

test('writes go through the write-ahead log and are synced to the disk', (context) => {
  const { directory } = closedStore(context)
  const store = openStore({ dataDir: directory })
  const before = statSync(join(directory, 'spacedock.db-wal')).size
  store.settings.update({ port: 4_001 })
  assert.ok(statSync(join(directory, 'spacedock.db-wal')).size > before)
  const reader = new DatabaseSync(join(directory, 'spacedock.db'), { readOnly: true })
  assert.equal(reader.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal')
  reader.close()
  store.close()
})
