import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { databaseFileName, openDatabase } from '../../src/store/database.ts'
import type { Marks } from '../../src/store/marks.ts'
import { openPersistentClock } from '../../src/store/persistent-clock.ts'
import { Place } from '../../src/store/place.ts'
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

/** A directory whose backup is older by two messages: the second of them arrived in the last run. */
function olderBackup(context: TestContext): { directory: string; backup: string; backedUpAtMs: number } {
  const [directory, backup] = [temporaryDirectory(context), temporaryDirectory(context)]
  const first = open(directory)
  receive(first, 'one')
  first.close()
  const backedUpAtMs = wallMs
  cpSync(directory, backup, { recursive: true })
  wallMs += 60_000
  for (const id of ['two', 'three']) {
    const store = open(directory)
    receive(store, id)
    store.close()
  }
  return { directory, backup, backedUpAtMs }
}

/** Other content for the same files; `cpSync` makes new ones, which mostly, not always, get the numbers of the old. */
function writeInto(directory: string, from: string, files: readonly string[]): void {
  for (const file of files) writeFileSync(join(directory, file), readFileSync(join(from, file)))
}

test('an older database that is written into the same file is known as such', (context) => {
  const { directory, backup, backedUpAtMs } = olderBackup(context)
  const { ino } = statSync(join(directory, databaseFileName))
  writeInto(directory, backup, [databaseFileName])
  assert.equal(statSync(join(directory, databaseFileName)).ino, ino)
  const store = open(directory)
  assert.deepEqual(store.putBack, { lastUsedAtMs: backedUpAtMs })
  store.close()
})

test('a whole directory whose older content is written into the same files is known as such', (context) => {
  const { directory, backup, backedUpAtMs } = olderBackup(context)
  writeInto(directory, backup, readdirSync(backup))
  const store = open(directory)
  assert.deepEqual(store.putBack, { lastUsedAtMs: backedUpAtMs })
  store.close()
  assert.equal(readdirSync(directory).filter((name) => name.startsWith('mark-')).length, 1)
})

test('a copy that was made while it was open, put back after it was closed, is known as an older state', (context) => {
  const [directory, backup] = [temporaryDirectory(context), temporaryDirectory(context)]
  open(directory).close()
  const first = open(directory)
  cpSync(directory, backup, { recursive: true })
  receive(first, 'one')
  first.close()
  cpSync(backup, directory, { recursive: true })
  const store = open(directory)
  assert.notEqual(store.putBack, null)
  store.close()
})

test('a backup of a directory that was not opened since is no older state', (context) => {
  const [directory, backup] = [temporaryDirectory(context), temporaryDirectory(context)]
  open(directory).close()
  cpSync(directory, backup, { recursive: true })
  cpSync(backup, directory, { recursive: true })
  const store = open(directory)
  assert.equal(store.putBack, null)
  store.close()
})

test('a directory whose mark is gone was not left so by this program', (context) => {
  const directory = temporaryDirectory(context)
  open(directory).close()
  for (const name of readdirSync(directory)) if (name.startsWith('mark-')) rmSync(join(directory, name))
  const store = open(directory)
  assert.notEqual(store.putBack, null)
  store.close()
})

/** Marks of a directory in which the process may end before one takes the place of another; a power cut before it is durable is the same. */
class FragileMarks implements Marks {
  found: string[] = []
  isKilled = false

  list(): string[] {
    return [...this.found]
  }

  replaceBy(mark: string): void {
    if (this.isKilled) throw new Error('killed')
    this.found = [mark]
  }
}

/** One database in one file, opened and closed as often as one likes, with its state as it can be copied and put back. */
function placeScene(context: TestContext) {
  const path = join(temporaryDirectory(context), 'any-file')
  writeFileSync(path, '')
  const database = openDatabase(':memory:', { mayCreate: true })
  context.after(() => database.close())
  const lastingClock = openPersistentClock(database, clock)
  const select = database.query('SELECT mark, mark_before FROM place', markColumns)
  const update = database.command(
    'UPDATE place SET mark = ?, mark_before = ?, last_used_ms = NULL, put_back_ms = NULL',
  )
  const clear = database.command('DELETE FROM place')
  return {
    clear: () => void clear.run(),
    copy: () => select.get(),
    putBack: (copy: MarkColumns) => void update.run(copy.mark, copy.mark_before),
    open: (marks: Marks) => new Place({ database, path, marks, clock, lastingClock }),
  }
}

const markColumns = v.object({ mark: v.nullable(v.string()), mark_before: v.nullable(v.string()) })
type MarkColumns = v.InferOutput<typeof markColumns>

test('no kill between any two steps makes a database look like an older one', (context) => {
  const scene = placeScene(context)
  const step = fc.record({ isKilled: fc.boolean(), closes: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const marks = new FragileMarks()
      scene.clear()
      for (const { isKilled, closes } of steps) {
        marks.isKilled = isKilled
        const place = scene.open(marks)
        assert.equal(place.putBack, null)
        if (closes) place.moveOn()
      }
    }),
  )
})

test('a database that is put back from before any opening or closing is known as older, whatever was killed', (context) => {
  const scene = placeScene(context)
  const step = fc.record({ isKilled: fc.boolean(), closes: fc.boolean() })
  const steps = fc.array(step, { minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(steps, steps, fc.boolean(), (before, after, withMarks) => {
      const marks = new FragileMarks()
      scene.clear()
      const run = ({ isKilled, closes }: { isKilled: boolean; closes: boolean }): void => {
        marks.isKilled = isKilled
        const place = scene.open(marks)
        if (closes) place.moveOn()
      }
      for (const each of before) run(each)
      const [copied, copiedMarks] = [scene.copy(), marks.list()]
      assert.ok(copied !== undefined)
      for (const each of after) run(each)
      scene.putBack(copied)
      const isOlder = marks.found[0] !== copiedMarks[0]
      if (withMarks) marks.found = [...new Set([...marks.found, ...copiedMarks])]
      assert.equal(scene.open(marks).putBack !== null, isOlder)
    }),
  )
})
