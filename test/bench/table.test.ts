import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from '../../bench/table/judgement.ts'
import { Results } from '../../bench/table/results.ts'
import { rows } from '../../bench/table/rows.ts'
import { comparisonTable, figure, table } from '../../bench/table/table.ts'

function results(figures: Record<string, Record<string, (number | null)[]>>): Results {
  const made = new Results()
  for (const [row, subjects] of Object.entries(figures)) {
    for (const [subject, values] of Object.entries(subjects)) {
      for (const [round, value] of values.entries()) made.add(row, subject, round, value)
    }
  }
  return made
}

test('the goal stands beside the figure, with whether it is reached', () => {
  const lines = table(
    judge(
      results({
        'round-trip-32': { 'raw-tcp': [100, 50, 100], 'spacedock-stream': [150, 75, 160] },
        pairing: { 'spacedock-library': [41] },
      }),
    ),
  ).split('\n')
  assert.equal(lines.length, 4)
  assert.match(lines[1] ?? '', /^round trip, 32 B, p50, us +raw-tcp +100 +75\.0 \.\. 100$/u)
  assert.match(lines[2] ?? '', /^ +spacedock-stream +150 .* 1\.50 of raw-tcp +<= 1\.6 of raw-tcp +reached$/u)
  assert.match(
    lines[3] ?? '',
    /^pairing by the library, both up, ms +spacedock-library +41\.0 .*<= 40 +missed$/u,
  )
})

test('a rate has to be at least its goal', () => {
  const [, line] = judge(results({ bulk: { 'raw-tcp': [100], 'spacedock-stream': [59] } }))
  assert.equal(line?.goal?.isReached, false)
  const [, better] = judge(results({ bulk: { 'raw-tcp': [100], 'spacedock-stream': [61] } }))
  assert.equal(better?.goal?.isReached, true)
})

test('a round that failed counts for nothing, and ratios are of rounds in which both succeeded', () => {
  const [raw, ours] = judge(
    results({ bulk: { 'raw-tcp': [100, 200, null], 'spacedock-stream': [null, 100, 400] } }),
  )
  assert.equal(raw?.figure.median, 150)
  assert.deepEqual(ours?.ratio, { value: 0.5, of: 'raw-tcp' })
  assert.deepEqual(judge(results({ bulk: { 'raw-tcp': [null] } })), [])
})

test('without what it is a ratio to, a figure has no goal', () => {
  const [line] = judge(results({ bulk: { 'spacedock-stream': [59] } }))
  assert.equal(line?.goal, null)
})

test('two commits: what both have is compared', () => {
  const then = results({
    bulk: { 'spacedock-stream': [100, 101, 102] },
    pairing: { 'spacedock-library': [50] },
  })
  const now = results({ bulk: { 'spacedock-stream': [200, 201, 202] }, durable: { 'spacedock-send': [1] } })
  const lines = comparisonTable(then, now, rows, 'main').split('\n')
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /^bulk, MB\/s +spacedock-stream +101 +201 +1\.99 +better$/u)
})

test('figures have three digits that count', () => {
  assert.deepEqual([0, 0.04567, 1.2345, 45.678, 456.78, 45_678].map(figure), [
    '0',
    '0.0457',
    '1.23',
    '45.7',
    '457',
    '45,678',
  ])
})
