import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { resultsOf, runOf, type Figures } from '../../../bench/draw/figures.ts'
import { pictures } from '../../../bench/draw/pictures.ts'
import { tables } from '../../../bench/draw/tables.ts'

const folder = new URL('../../../docs/performance/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

test('the pictures and tables of docs/performance.md are of the figures beside them: npm run bench:draw', () => {
  const figures = JSON.parse(read('figures.json')) as Figures
  const results = resultsOf(figures)
  const drawn = pictures(results)
  const files = readdirSync(folder).filter((name) => name.endsWith('.svg'))
  assert.deepEqual(files.toSorted(), Object.keys(drawn).toSorted())
  for (const [name, content] of Object.entries(drawn)) assert.equal(read(name), content, name)
  const document = read('../performance.md')
  assert.ok(document.includes(tables(figures, results)), 'the tables are of other figures')
  for (const name of files) assert.ok(document.includes(`(performance/${name})`), name)
})

const bench = (figures: Record<string, Record<string, (number | null)[]>>) => ({
  machine: { processor: 'any' },
  rounds: 3,
  figures: { 'this checkout': figures },
})

test('bars are as long as their medians, and a round that failed counts for nothing', () => {
  const run = runOf(bench({ 'idle-memory': { node: [40, null, 40], 'spacedock-library': [80, 81, 79] } }))
  const drawn = pictures(resultsOf({ runs: [run] }))['people.svg'] ?? ''
  const lengths = [...drawn.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"/gu)].map(([, width]) =>
    Number(width),
  )
  assert.equal(lengths.length, 2)
  assert.ok(Math.abs((lengths[1] ?? 0) / (lengths[0] ?? 1) - 2) < 0.01, String(lengths))
})

test('rows of a later run take the place of those of an earlier one; what was not measured is not drawn', () => {
  const runs = [bench({ start: { node: [100] } }), bench({ start: { node: [200] } })].map(runOf)
  assert.deepEqual(resultsOf({ runs }).values('start', 'node'), [200])
  assert.deepEqual(Object.keys(pictures(resultsOf({ runs }))), ['people.svg'])
})

test('a link on which nothing was measured leaves a gap, not a nought', () => {
  const run = runOf(
    bench({
      'bulk-0ms-100mbit-0pct': { 'raw-tcp': [12], 'spacedock-stream': [11] },
      'bulk-63ms-100mbit-0pct': { 'raw-tcp': [6] },
    }),
  )
  const drawn = pictures(resultsOf({ runs: [run] }))['links.svg'] ?? ''
  assert.equal(drawn.match(/<circle/gu)?.length, 3)
})

test('a picture is one SVG that brings its background and both colours', () => {
  const run = runOf(bench({ start: { node: [100] } }))
  const drawn = pictures(resultsOf({ runs: [run] }))['people.svg'] ?? ''
  assert.match(drawn, /^<svg [^>]*viewBox/u)
  assert.match(drawn, /prefers-color-scheme: dark/u)
  assert.match(drawn, /<rect class="page"/u)
})
