import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { goals, groups, references, rows } from '../../bench/table/rows.ts'

const row = (id: string) => rows.find((each) => each.id === id)

test('every row has a name of its own, and every goal and reference a row', () => {
  assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length)
  for (const { row: id } of goals) assert.ok(row(id), id)
  for (const id of Object.keys(references)) assert.ok(row(id), id)
})

test('a row has one goal for a subject, and only Spacedock has goals', () => {
  const named = goals.map(({ row, subject }) => `${row} ${subject}`)
  assert.equal(new Set(named).size, named.length)
  for (const { subject, of } of goals) {
    assert.match(subject, /^spacedock/u)
    assert.doesNotMatch(of ?? '', /^spacedock/u)
  }
})

test('docs/performance.md explains every row', () => {
  const text = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8')
  for (const group of groups) assert.ok(text.includes(`\`${group}\``), group)
  for (const { id, title } of rows.filter(({ group }) => group !== 'links')) {
    assert.ok(text.includes(`\`${id}\``), id)
    assert.ok(text.includes(title), title)
  }
})
