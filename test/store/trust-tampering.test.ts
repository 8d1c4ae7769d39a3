import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import type { SQLInputValue } from 'node:sqlite'
import { openDatabase } from '../../src/store/database.ts'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { openStore } from '../../src/store/store.ts'
import { openTrust } from '../../src/store/trust.ts'
import { activeRecord, alice, assertFails, bob, carol, copyOfDirectory, execute } from './fixtures.ts'
import { pendingRecord, temporaryDirectory, withDatabase } from './fixtures.ts'

interface Paired {
  directory: string
  path: string
}

/** Alice: active and pairing again; bob: active; carol: revoked. Closed. */
function pairedStore(context: TestContext): Paired {
  const directory = temporaryDirectory(context)
  const opened = openStore({ dataDir: directory })
  const { trust } = opened
  trust.put({ ...activeRecord(alice, 'alice'), acknowledgement: new Uint8Array(32).fill(3) })
  trust.put(pendingRecord(alice, 'alice'))
  trust.put(activeRecord(bob, 'bob'))
  trust.put(activeRecord(carol, 'carol'))
  trust.revoke(carol)
  opened.close()
  return { directory, path: join(directory, 'spacedock.db') }
}

const assertRefused = ({ directory }: Paired): unknown =>
  assertFails(() => openStore({ dataDir: directory }), 'database-damaged', /backup/)

test('threat 29: every byte of every trust row and of the seal counts', (context) => {
  const { directory, path } = pairedStore(context)
  const identity = loadOrCreateIdentity(directory)
  const database = openDatabase(path, { mayCreate: false })
  const open = (): unknown => openTrust({ database, identity, clock: { wall: () => 0 } })
  open()
  let flips = 0
  withDatabase(path, (other) => {
    for (const table of ['trust', 'seal']) {
      const key = table === 'trust' ? ['peer_id', 'slot'] : ['only_row']
      for (const row of other.prepare(`SELECT * FROM ${table}`).all()) {
        for (const [column, value] of Object.entries(row)) {
          if (column === 'only_row') continue
          for (const changed of variations(value)) {
            const where = key.map((name) => `${name} = ?`).join(' AND ')
            const keys = key.map((name) => row[name] ?? null)
            const set = other.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`)
            set.run(changed, ...keys)
            assertFails(open, 'database-damaged')
            set.run(value, ...keys.map((old, index) => (key[index] === column ? changed : old)))
            flips += 1
          }
        }
      }
    }
  })
  open()
  database.close()
  assert.ok(flips > 600, `${flips} flips`)
})

/** The value with one byte changed, each in turn, and what else a column of its kind can be turned into. */
function variations(value: unknown): SQLInputValue[] {
  if (value === null) return [new Uint8Array(), new Uint8Array(32)]
  if (typeof value === 'number')
    return [value + 1, value - 1, -value - 1, 0, 2n ** 62n].filter((other) => other !== value)
  if (typeof value === 'string') {
    return Array.from(value, (character, index) => {
      const other = String.fromCharCode(character.charCodeAt(0) ^ 1)
      return value.slice(0, index) + other + value.slice(index + 1)
    })
  }
  assert.ok(value instanceof Uint8Array)
  const flipped = [...value].map((byte, index) => Uint8Array.from(value).fill(byte ^ 1, index, index + 1))
  return [...flipped, value.slice(1), new Uint8Array()]
}

describe('threat 29: a registry is refused when', () => {
  const attacks: [string, string][] = [
    ['a row is gone', `DELETE FROM trust WHERE peer_id = '${bob}'`],
    ['a tombstone is gone', `DELETE FROM trust WHERE peer_id = '${carol}'`],
    ['all rows are gone', 'DELETE FROM trust'],
    ['the seal is gone', 'DELETE FROM seal'],
    ['everything is gone', 'DELETE FROM trust; DELETE FROM seal'],
    [
      'a row has been copied to another peer',
      `INSERT INTO trust SELECT '${carol}', 'provisional', name, state, pair_key, acknowledgement, paired_at_ms, changed_at_ms, mac, farewell FROM trust WHERE slot = 'provisional'`,
    ],
    [
      'two rows have changed places',
      `UPDATE trust SET peer_id = 'x' WHERE peer_id = '${bob}'; UPDATE trust SET peer_id = '${bob}' WHERE peer_id = '${carol}'; UPDATE trust SET peer_id = '${carol}' WHERE peer_id = 'x'`,
    ],
    [
      'a provisional row poses as settled',
      `DELETE FROM trust WHERE peer_id = '${alice}' AND slot = 'settled'; UPDATE trust SET slot = 'settled' WHERE peer_id = '${alice}'`,
    ],
    [
      'a row without a MAC is added',
      `INSERT INTO trust VALUES ('12D3KooWx', 'settled', 'eve', 'active', zeroblob(32), NULL, 1, 1, zeroblob(32), NULL)`,
    ],
    ['a settled row poses as provisional', `UPDATE trust SET slot = 'provisional' WHERE peer_id = '${bob}'`],
    ['the generation is set forward', 'UPDATE seal SET generation = generation + 1'],
  ]
  for (const [name, sql] of attacks) {
    test(name, (context) => {
      const store = pairedStore(context)
      withDatabase(store.path, (database) => database.exec(sql))
      assertRefused(store)
    })
  }
})

test('threat 29: devices without a seal are refused, even when the identity file has never heard of any', (context) => {
  const store = pairedStore(context)
  loadOrCreateIdentity(store.directory).stageGeneration(0).publish()
  execute(store.path, 'DELETE FROM seal')
  assertFails(() => openStore({ dataDir: store.directory }), 'database-damaged', /seal/)
})

describe('threat 30: a registry is refused when', () => {
  test('the database is a copy from before the revocation', (context) => {
    const store = pairedStore(context)
    const older = readFileSync(store.path)
    const opened = openStore({ dataDir: store.directory })
    const { trust } = opened
    trust.revoke(bob)
    opened.close()
    writeFileSync(store.path, older)
    const error = assertFails(() => openStore({ dataDir: store.directory }), 'database-damaged', /older copy/)
    assert.match(error.hint ?? '', /backup/)
  })

  test('a row of the older copy is put over the tombstone', (context) => {
    const store = pairedStore(context)
    const copy = copyOfDirectory(context, store.directory)
    const opened = openStore({ dataDir: store.directory })
    const { trust } = opened
    trust.revoke(bob)
    opened.close()
    withDatabase(store.path, (database) => {
      database.exec(`ATTACH '${join(copy, 'spacedock.db')}' AS older`)
      database.exec(`INSERT OR REPLACE INTO trust SELECT * FROM older.trust WHERE peer_id = '${bob}'`)
    })
    assertRefused(store)
    withDatabase(store.path, (database) => {
      database.exec(`ATTACH '${join(copy, 'spacedock.db')}' AS older`)
      database.exec('DELETE FROM trust; INSERT INTO trust SELECT * FROM older.trust')
      database.exec('INSERT OR REPLACE INTO seal SELECT * FROM older.seal')
    })
    assertRefused(store)
  })

  test('the log with the revocation is deleted after a crash', (context) => {
    const store = pairedStore(context)
    const open = openStore({ dataDir: store.directory })
    open.trust.remove(bob)
    // As a kill would leave it: the change in the log, not yet in the database.
    const crashed = temporaryDirectory(context)
    for (const name of ['identity.json', 'spacedock.db'])
      copyFileSync(join(store.directory, name), join(crashed, name))
    open.close()
    assertFails(() => openStore({ dataDir: crashed }), 'database-damaged', /older copy/)
  })

  test('two honest generations: the newest one opens', (context) => {
    const store = pairedStore(context)
    for (let round = 0; round < 3; round += 1) {
      const opened = openStore({ dataDir: store.directory })
      const { trust } = opened
      trust.put({ ...activeRecord(bob, `bob ${round}`) })
      opened.close()
    }
    const opened = openStore({ dataDir: store.directory })
    const { trust } = opened
    assert.equal(trust.get(bob)?.name, 'bob 2')
    opened.close()
  })
})

test('a process that died between the database and the identity file is picked up where it was', (context) => {
  const store = pairedStore(context)
  const identity = readFileSync(join(store.directory, 'identity.json'))
  const older = readFileSync(store.path)
  const first = openStore({ dataDir: store.directory })
  first.trust.revoke(bob)
  first.close()
  writeFileSync(join(store.directory, 'identity.json'), identity)
  const second = openStore({ dataDir: store.directory })
  assert.equal(second.trust.get(bob)?.state, 'revoked')
  second.close()
  // From then on the older database is refused, without any further change to the devices.
  writeFileSync(store.path, older)
  assertRefused(store)
})

test('a device that died while its first database was made starts again', (context) => {
  const directory = temporaryDirectory(context)
  const { seed } = loadOrCreateIdentity(directory)
  const path = join(directory, 'spacedock.db')
  writeFileSync(path, '', { mode: 0o600 })
  const first = openStore({ dataDir: directory })
  assert.deepEqual(first.identity.seed, seed)
  first.close()
  execute(path, 'DELETE FROM trust')
  openStore({ dataDir: directory }).close()
})
