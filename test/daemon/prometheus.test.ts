import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonMetrics } from '../../src/daemon/prometheus.ts'
import { exposition, type ProcessFacts } from '../../src/daemon/prometheus.ts'
import { NodeCounters } from '../../src/node/node-counters.ts'

const facts: ProcessFacts = {
  version: '1.2.3',
  devices: 4,
  startedAt: 1_700_000_000.5,
  residentBytes: 1e8,
  cpuSeconds: 0.25,
}

test('every family has one HELP and one TYPE, then its samples, and counters end in _total', () => {
  const text = exposition(everyNumberAnother(), facts)
  assert.ok(text.endsWith('\n'))
  const seen = new Set<string>()
  let family = { name: '', type: '' }
  let lines = 0
  for (const line of text.trimEnd().split('\n')) {
    lines++
    const help = /^# HELP (?<name>[a-z_]+) [A-Z].*\.$/u.exec(line)?.groups?.['name']
    const type = /^# TYPE (?<name>[a-z_]+) (?<type>counter|gauge)$/u.exec(line)?.groups
    const sample = /^(?<name>[a-z_]+)(?:\{(?<labels>[^{}]*)\})? (?<value>[\d.]+)$/u.exec(line)?.groups
    if (help !== undefined) {
      assert.ok(!seen.has(help), `${help} twice`)
      seen.add(help)
      family = { name: help, type: '' }
    } else if (type !== undefined) {
      assert.equal(type['name'], family.name)
      assert.equal(family.type, '')
      family.type = type['type'] ?? ''
      assert.equal(family.name.endsWith('_total'), family.type === 'counter', family.name)
    } else {
      assert.equal(sample?.['name'], family.name, line)
      assert.match(`${sample?.['labels'] ?? ''},`, /^(?:,|(?:[a-z]+="[a-z0-9.-]+",)+)$/u)
    }
  }
  assert.ok(lines > 60)
})

test('every number that is counted is told, once', () => {
  const metrics = everyNumberAnother()
  const text = exposition(metrics, facts)
  const values = text.split('\n').flatMap((line) => (line.startsWith('#') ? [] : [line.split(' ').at(-1)]))
  for (const number of numbersIn(metrics)) {
    assert.equal(values.filter((value) => value === String(number)).length, 1, `${number}`)
  }
  assert.match(text, /^spacedock_pairings_total\{role="joiner",outcome="not-found"\} \d+$/mu)
  assert.match(text, /^spacedock_build_info\{version="1\.2\.3"\} 1$/mu)
  assert.match(text, /^process_start_time_seconds 1700000000\.5$/mu)
})

/** A thousand and one, a thousand and two ... */
function everyNumberAnother(): DaemonMetrics {
  let next = 1001
  const number = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, number(each)]))
      : next++
  return number({
    ...new NodeCounters().read({ connections: [], sessions: [], queued: 0 }),
    defects: 0,
  }) as DaemonMetrics
}

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : []
}
