import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quickSizes, usualSizes } from '../../bench/table/jobs/job.ts'
import { parseOptions } from '../../bench/table/options.ts'
import { rows } from '../../bench/table/rows.ts'

test('without options all rows are measured, in five rounds', () => {
  const all = rows.map(({ id }) => id)
  const expected = {
    rows: all,
    rounds: 5,
    sizes: usualSizes,
    json: 'bench.json',
    neighbours: false,
    compare: null,
  }
  assert.deepEqual(parseOptions([]), expected)
})

test('what is given is taken', () => {
  const args =
    '--neighbours --devices 3,4 --idle-seconds 9 --quick --rounds 7 --rows bulk,start --megabytes 1024 --json a.json --compare main'
  assert.deepEqual(parseOptions(args.split(' ')), {
    rows: ['bulk', 'start'],
    rounds: 7,
    sizes: { ...quickSizes, bulkBytes: 2 ** 30, devices: [3, 4], pairedIdleMs: 9_000 },
    json: 'a.json',
    neighbours: true,
    compare: 'main',
  })
  assert.equal(parseOptions(['--quick']).rounds, 2)
  assert.equal(parseOptions(['--rows', 'links']).rows.length, 60)
})

test('what cannot be is refused, with what can', () => {
  assert.throws(
    () => parseOptions(['--rows', 'bulk,bilk']),
    /no row "bilk"; there are speed, links, .*round-trip-32, /u,
  )
  for (const number of ['0', '-1', '1.5', 'many', '']) {
    assert.throws(
      () => parseOptions([`--rounds=${number}`]),
      /--rounds takes a whole number from 1 to 1000\./u,
    )
  }
  assert.throws(() => parseOptions(['--megabytes', '70000']), /--megabytes takes/u)
  assert.throws(() => parseOptions(['--slow']), /slow/u)
})
