import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log, LogLevel } from '../../src/api.ts'
import { createLog, logLevels } from '../../src/daemon/log.ts'

const words = 'legal winner thank year wave sausage worth useful legal winner thank yellow'

test('an entry is one line of JSON with time, level, event and fields', () => {
  const line = written((log) =>
    log('warn', 'mdns.failed', { interface: 'eth0', tries: 3, states: ['a', 'b'] }),
  )
  assert.ok(line.endsWith('}\n'))
  assert.deepEqual(JSON.parse(line), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    event: 'mdns.failed',
    interface: 'eth0',
    tries: 3,
    states: ['a', 'b'],
  })
})

const secrets: { what: string; fields: Record<string, unknown> }[] = [
  { what: 'a field that is called words', fields: { words } },
  { what: 'words in another field', fields: { detail: `joined with ${words}` } },
  { what: 'words with dashes and capitals', fields: { detail: words.toUpperCase().replaceAll(' ', '-') } },
  { what: 'words at the end of other words', fields: { detail: `the words that were typed are ${words}` } },
  { what: 'words in a list', fields: { details: [words] } },
  {
    what: 'a pairing URI',
    fields: { address: `spacedock:${words.replaceAll(' ', '%20')}?peer=/ip4/1.2.3.4` },
  },
  { what: 'words in an error', fields: { error: new Error(`no such code: ${words}`) } },
  { what: 'words in an object', fields: { state: { words } } },
  { what: 'bytes', fields: { nonce: new TextEncoder().encode(words) } },
  { what: 'the text of a message', fields: { text: 'legal matters' } },
]
for (const { what, fields } of secrets) {
  test(`threat 35: ${what} does not reach the log`, () => {
    const line = written((log) => log('info', 'event', fields))
    assert.doesNotMatch(line, /legal|winner|sausage|yellow/iu)
  })
}

test('threat 35: a key in hexadecimal does not reach the log, a session id does', () => {
  const line = written((log) => log('info', 'event', { detail: 'ab'.repeat(32), sessionId: 'cd'.repeat(16) }))
  assert.doesNotMatch(line, /abab/u)
  assert.match(line, /cdcd/u)
})

test('threat 27: fields cannot forge lines, replace the level, or fill the disk', () => {
  const name = `phone\n{"level":"error"}\u202e${'x'.repeat(10_000)}`
  const line = written((log) => log('info', 'event', { name, level: 'error', time: 'never' }))
  assert.equal(line.split('\n').length, 2)
  assert.ok(line.length < 1000)
  assert.doesNotMatch(line, /\u202e/u)
  const entry = JSON.parse(line) as { level: string; time: string }
  assert.deepEqual([entry.level, entry.time], ['info', '1970-01-01T00:00:00.000Z'])
})

for (const [index, level] of logLevels.entries()) {
  test(`at the level "${level}", what is less than that is not written`, () => {
    const lines = written((log) => {
      for (const each of logLevels) log(each, 'event')
    }, level)
    const entries = lines.split('\n').filter((line) => line !== '')
    assert.deepEqual(
      entries.map((line) => (JSON.parse(line) as { level: string }).level),
      logLevels.slice(index),
    )
  })
}

test('without a word, debugging is not written', () => {
  const lines: string[] = []
  const log = createLog((line) => lines.push(line))
  log('debug', 'one')
  log('info', 'two')
  assert.equal(lines.length, 1)
})

test('an error tells where it happened', () => {
  const line = written((log) => log('error', 'event', { error: new TypeError('broken') }))
  assert.match(line, /TypeError: broken at .*log\.test\.ts/u)
})

function written(write: (log: Log) => void, level: LogLevel = 'debug'): string {
  let output = ''
  write(createLog((line) => (output += line), { level: () => level, wallClock: () => 0 }))
  return output
}
