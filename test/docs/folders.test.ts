import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { networkFolders } from '../../oxlint.config.ts'

const root = new URL('../../', import.meta.url)

test('every folder of src/network has a level, by which its imports are checked', () => {
  const entries = readdirSync(new URL('src/network/', root), { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  assert.deepEqual(networkFolders.toSorted(), folders.toSorted())
})

test('ARCHITECTURE.md states the levels of src/network in their order', () => {
  const text = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8')
  const [, list = ''] = text.split('Inside `network` each folder has a level')
  const stated = [...list.matchAll(/^ {4}(\w+) /gmu)].map(([, name]) => name).slice(0, networkFolders.length)
  assert.deepEqual(stated, networkFolders)
})
