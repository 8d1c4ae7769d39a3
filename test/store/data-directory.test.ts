import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  checkPrivateFile,
  ensurePrivateFile,
  prepareDataDirectory,
  stageFile,
} from '../../src/store/data-directory.ts'
import { openStore } from '../../src/store/store.ts'
import { assertFails, temporaryDirectory } from './fixtures.ts'

const permissions = (path: string): number => statSync(path).mode & 0o777

test('a directory that does not exist is made with its parents, for its owner alone', (context) => {
  const directory = join(temporaryDirectory(context), 'a', 'b')
  assert.equal(prepareDataDirectory(directory), directory)
  assert.equal(permissions(directory), 0o700)
  assert.equal(permissions(join(directory, '..')), 0o700)
})

test('a store leaves no file that others can open, whatever the umask', (context) => {
  const directory = join(temporaryDirectory(context), 'data')
  const before = process.umask(0)
  try {
    const store = openStore({ dataDir: directory })
    context.after(() => store.close())
    store.settings.update({ name: 'alice' })
  } finally {
    process.umask(before)
  }
  assert.equal(permissions(directory), 0o700)
  for (const name of ['identity.json', 'lock.db', 'spacedock.db', 'spacedock.db-wal', 'spacedock.db-shm']) {
    assert.equal(permissions(join(directory, name)), 0o600, name)
  }
})

for (const mode of [0o755, 0o750, 0o701, 0o770, 0o704]) {
  test(`a directory with mode ${mode.toString(8)} is refused with the command that closes it`, (context) => {
    const directory = join(temporaryDirectory(context), "it's here")
    mkdirSync(directory)
    writeFileSync(join(directory, 'something'), '')
    chmodSync(directory, mode)
    assertFails(
      () => prepareDataDirectory(directory),
      'directory-unusable',
      /chmod 700 '.*it'\\''s here'"\.$/,
    )
    assert.equal(permissions(directory), mode)
  })
}

for (const mode of [0o755, 0o770, 0o777]) {
  test(`an empty directory of ours with mode ${mode.toString(8)} is closed`, (context) => {
    const directory = join(temporaryDirectory(context), 'data')
    mkdirSync(directory)
    chmodSync(directory, mode)
    prepareDataDirectory(directory)
    assert.equal(permissions(directory), 0o700)
  })
}

test(
  "another user's directory is refused, to root as well",
  { skip: process.getuid?.() !== 0 },
  (context) => {
    const directory = join(temporaryDirectory(context), 'data')
    mkdirSync(directory, { mode: 0o700 })
    chownSync(directory, 65_534, 65_534)
    assertFails(() => openStore({ dataDir: directory }), 'directory-unusable', /belongs to another user/)
    assert.deepEqual(readdirSync(directory), [])
  },
)

test(
  'a place where no directory can be made is refused, and not tried for ever',
  { skip: process.platform !== 'linux' },
  () => {
    for (const place of ['/proc/nothing', '/proc/nothing/below/it', '/sys/nothing/below'])
      assertFails(() => prepareDataDirectory(place), 'directory-unusable')
  },
)

for (const name of ['identity.json', 'spacedock.db', 'lock.db']) {
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    test(`${name} with mode ${mode.toString(8)} is refused with the command that closes it`, (context) => {
      const directory = temporaryDirectory(context)
      openStore({ dataDir: directory }).close()
      chmodSync(join(directory, name), mode)
      const content = readFileSync(join(directory, name))
      const pattern = new RegExp(`chmod 600 .*${name}"\\.$`)
      assertFails(() => openStore({ dataDir: directory }), 'directory-unusable', pattern)
      assert.deepEqual(readFileSync(join(directory, name)), content)
      chmodSync(join(directory, name), 0o600)
      openStore({ dataDir: directory }).close()
    })
  }
}

test('a write-ahead log that others can read is refused', (context) => {
  const directory = temporaryDirectory(context)
  openStore({ dataDir: directory }).close()
  writeFileSync(join(directory, 'spacedock.db-wal'), '')
  chmodSync(join(directory, 'spacedock.db-wal'), 0o644)
  assertFails(() => openStore({ dataDir: directory }), 'directory-unusable', /chmod 600/)
})

test('a name that is empty, taken by a file, or below a file is refused', (context) => {
  const file = join(temporaryDirectory(context), 'file')
  writeFileSync(file, '')
  assertFails(() => prepareDataDirectory(''), 'invalid-argument')
  assertFails(() => prepareDataDirectory('a\0b'), 'invalid-argument')
  assertFails(() => prepareDataDirectory(file), 'directory-unusable')
  assertFails(() => prepareDataDirectory(join(file, 'below')), 'directory-unusable')
})

test('a link in place of a private file is refused', (context) => {
  const directory = temporaryDirectory(context)
  writeFileSync(join(directory, 'elsewhere'), '', { mode: 0o600 })
  symlinkSync(join(directory, 'elsewhere'), join(directory, 'link'))
  assertFails(() => checkPrivateFile(join(directory, 'link')), 'directory-unusable', /plain file/)
})

test('a private file is made once', (context) => {
  const path = join(temporaryDirectory(context), 'file')
  assert.equal(checkPrivateFile(path), false)
  assert.equal(ensurePrivateFile(path), true)
  assert.equal(ensurePrivateFile(path), false)
  assert.equal(permissions(path), 0o600)
})

test('a staged file changes nothing until it is published, and leaves nothing when discarded', (context) => {
  const path = join(temporaryDirectory(context), 'file')
  writeFileSync(path, 'old', { mode: 0o600 })
  const discarded = stageFile(path, Buffer.from('new'))
  assert.equal(readFileSync(path, 'utf8'), 'old')
  discarded.discard()
  assert.equal(checkPrivateFile(`${path}.tmp`), false)
  stageFile(path, Buffer.from('newer')).publish()
  assert.equal(readFileSync(path, 'utf8'), 'newer')
  assert.equal(permissions(path), 0o600)
})

test('what a killed process left under the temporary name is replaced, not written through', (context) => {
  const directory = temporaryDirectory(context)
  const path = join(directory, 'file')
  writeFileSync(join(directory, 'victim'), 'precious')
  symlinkSync(join(directory, 'victim'), `${path}.tmp`)
  stageFile(path, Buffer.from('new')).publish()
  assert.equal(readFileSync(path, 'utf8'), 'new')
  assert.equal(readFileSync(join(directory, 'victim'), 'utf8'), 'precious')
})
