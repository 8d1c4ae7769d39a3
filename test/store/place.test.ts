import assert from 'node:assert/strict'
import { chmodSync, cpSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { databaseFileName } from '../../src/store/database.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { accept, alice, temporaryDirectory } from './fixtures.ts'

const dayMs = 24 * 3_600_000
let wallMs = 1_700_000_000_000
const clock = { wall: () => wallMs, monotonic: () => 0 }
const open = (dataDir: string): Store => openStore({ dataDir, clock })
const receive = (store: Store, id: string): number =>
  accept(store.inbox, { id, peerId: alice, kind: 'text', body: id, atMs: 0 }).sequence

test('a directory that is put back from a backup, or copied, is known as such for a week, and no number is given twice', (context) => {
  const directory = temporaryDirectory(context)
  const backup = temporaryDirectory(context)
  const first = open(directory)
  assert.equal(first.putBack, null)
  assert.deepEqual([receive(first, 'one'), receive(first, 'two')], [1, 2])
  first.close()
  const backedUpAtMs = wallMs
  cpSync(directory, backup, { recursive: true })
  const given = new Set<number>([1, 2])
  let latest = 2
  for (const id of ['three', 'four', 'five']) {
    wallMs += 60_000
    const store = open(directory)
    assert.equal(store.putBack, null)
    for (const number of [receive(store, id), receive(store, `${id}-again`)]) {
      assert.ok(number > latest && Number.isSafeInteger(number))
      latest = number
      given.add(number)
    }
    store.close()
  }
  rmSync(directory, { recursive: true })
  cpSync(backup, directory, { recursive: true })
  passTick(join(directory, databaseFileName))
  chmodSync(directory, 0o700)
  wallMs += 60_000
  for (let day = 0; day < 7; day++) {
    const store = open(directory)
    assert.deepEqual(store.putBack, { lastUsedAtMs: backedUpAtMs })
    assert.ok(receive(store, `after-${day}`) > latest)
    latest = store.inbox.lastSequence()
    store.close()
    wallMs += dayMs
  }
  open(directory).close()
  wallMs += 1
  const later = open(directory)
  assert.equal(later.putBack, null)
  later.close()
})

/** Touches a file until its change is later than its making, as between a restore and a start it always is. */
function passTick(path: string): void {
  for (;;) {
    utimesSync(path, new Date(), new Date())
    const { birthtimeNs, ctimeNs } = statSync(path, { bigint: true })
    if (birthtimeNs !== ctimeNs) return
  }
}

test('a directory that was moved, or only opened again, is the same', (context) => {
  const directory = temporaryDirectory(context)
  open(directory).close()
  const moved = `${directory}-moved`
  renameSync(directory, moved)
  context.after(() => rmSync(moved, { recursive: true, force: true }))
  const store = open(moved)
  assert.equal(store.putBack, null)
  store.close()
})

test('a wall clock that was set back, or far ahead, gives no number twice either', (context) => {
  const directory = temporaryDirectory(context)
  let latest = 0
  for (const [index, wall] of [wallMs, wallMs - 1_000 * dayMs, 8.6e15, 5, wallMs].entries()) {
    const store = openStore({ dataDir: directory, clock: { wall: () => wall, monotonic: () => 0 } })
    const number = receive(store, `message-${index}`)
    assert.ok(number > latest && Number.isSafeInteger(number), `${number} after ${latest}`)
    latest = number
    store.close()
  }
})
