import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { behaviour, machine, population, usualLimits } from '../../../bench/model/inputs.ts'
import type { Points } from '../../../bench/model/load.ts'
import { report } from '../../../bench/model/report.ts'

test('docs/scale.md shows what the model says of what was measured: npm run model -- --write', () => {
  const points = JSON.parse(
    readFileSync(new URL('../../../bench/model/points.json', import.meta.url), 'utf8'),
  ) as Points
  const document = readFileSync(new URL('../../../docs/scale.md', import.meta.url), 'utf8')
  assert.ok(
    document.includes(report({ population, behaviour, limits: usualLimits, points }, machine)),
    'the tables are of other figures, or of another model: npm run model -- --write',
  )
})
