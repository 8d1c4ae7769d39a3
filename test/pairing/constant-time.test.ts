import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

test('threat 37: whatever a peer sends is compared by sameMac only', () => {
  const directory = new URL('../../src/pairing/', import.meta.url)
  for (const name of readdirSync(directory)) {
    const source = readFileSync(new URL(name, directory), 'utf8')
    const secrets = 'mac|probe|proof|commitment|acknowledgement|nonce|share|sealed|requested|pairKey'
    assert.doesNotMatch(source, new RegExp(`\\b(?:${secrets}) [!=]==? (?!null\\b|undefined\\b)`, 'iu'), name)
    assert.doesNotMatch(source, /\.every\(|\.equals\(|Buffer\.compare|deepEqual|bytesToHex/u, name)
  }
})
