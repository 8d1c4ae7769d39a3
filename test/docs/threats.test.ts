import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { brokenVersions } from '../simulation/broken.ts'
import { messagePoints } from '../threats/crashes.ts'
import { listThreats } from '../threats/threats.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const rows = [...readFileSync(join(root, 'docs/threats.md'), 'utf8').matchAll(/^\| (\d+) \|(.+)\|$/gmu)].map(
  ([, row = '', cells = '']) => ({ row: Number(row), cells: cells.split('|').map((cell) => cell.trim()) }),
)
const numbers = rows.map(({ row }) => row)

test('docs/threats.md has a row for every threat of test/threats, in their order, and no other', async () => {
  const attacked = (await listThreats()).map(({ threat }) => threat.row)
  assert.deepEqual(numbers, [...new Set(attacked)])
  for (const { row, cells } of rows) {
    assert.equal(cells.length, 2, `row ${row}: an attack and a defence`)
    assert.ok(!cells.includes(''), `row ${row} has an empty cell`)
  }
})

test('a file of attacks is on the list of those that are run', async () => {
  const listed = new Set((await listThreats()).map(({ group }) => `${group}.ts`))
  const folder = join(root, 'test/threats')
  const withThreats = readdirSync(folder).filter((file) =>
    /^export const threats: /mu.test(readFileSync(join(folder, file), 'utf8')),
  )
  assert.deepEqual(withThreats, [...listed].sort())
})

test('what is taken out of the source, to see an attack succeed or a story fail, stands there once', async () => {
  const patches = (await listThreats()).flatMap(({ threat }) =>
    threat.without.flatMap((without) => without.patches ?? []),
  )
  patches.push(...brokenVersions.flatMap((broken) => broken.patches))
  patches.push(...Object.values(messagePoints).map(({ patch }) => patch))
  const misfits = patches.filter(({ file, find }) => {
    const source = readFileSync(join(root, file), 'utf8')
    return source.split(find).length !== 2
  })
  assert.deepEqual(misfits, [])
})

test('every test that is named after a threat names a row of docs/threats.md', () => {
  const named = sourcesOf('test').flatMap((source) =>
    [...source.matchAll(/threat (\d+): /gu)].map(([, row]) => Number(row)),
  )
  assert.ok(named.length > 50, 'the tests were found')
  assert.deepEqual(
    named.filter((row) => !numbers.includes(row)),
    [],
  )
})

function sourcesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(root, folder, file), 'utf8'))
}
