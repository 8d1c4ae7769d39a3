import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { section, tableOf } from './protocol-document.ts'

test('every test that the table of threats names is there', () => {
  const directory = new URL('../', import.meta.url)
  const sources = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(new URL(name, directory), 'utf8'))
    .join('\n')
  const patterns = [...sources.matchAll(/test\(\s*(?:'(?<a>[^'\n]+)'|"(?<b>[^"\n]+)"|`(?<c>[^`\n]+)`)/gu)]
  const titles = patterns.map(({ groups = {} }) => groups['a'] ?? groups['b'] ?? groups['c'] ?? '')
  const named = [...section('Threats').matchAll(/`(?<title>threat \d+: [^`]+)`/gu)]
  assert.ok(named.length > 30)
  for (const { groups: { title = '' } = {} } of named) {
    // The document writes "..." for what differs from test to test, and an example where a title has one.
    assert.ok(
      titles.some((candidate) => asPattern(candidate).test(title)),
      `no test is called "${title}"`,
    )
  }
  const rows = new Set(tableOf('Threats').flatMap(([row = '']) => row.split(', ').map(Number)))
  for (let row = 1; row <= 41; row++) assert.ok(rows.has(row), `row ${row}`)
})

test('threat 37: whatever a peer sends is compared by sameMac only', () => {
  const directory = new URL('../../src/pairing/', import.meta.url)
  for (const name of readdirSync(directory)) {
    const source = readFileSync(new URL(name, directory), 'utf8')
    const secrets = 'mac|probe|proof|commitment|acknowledgement|nonce|share|sealed|requested|pairKey'
    assert.doesNotMatch(source, new RegExp(`\\b(?:${secrets}) [!=]==? (?!null\\b|undefined\\b)`, 'iu'), name)
    assert.doesNotMatch(source, /\.every\(|\.equals\(|Buffer\.compare|deepEqual|bytesToHex/u, name)
  }
})

function asPattern(title: string): RegExp {
  const parts = title.split(/(?:\$\{[^}]*\}…?)+/u)
  return new RegExp(
    `^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`)).join('.+')}$`,
    'u',
  )
}
