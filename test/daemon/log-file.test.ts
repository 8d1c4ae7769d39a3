import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { leadsTo, LogFile, type LogFileLimits, logPath, openLogFile } from '../../src/daemon/log-file.ts'
import { fill, smallDisk, whyNoMount } from '../store/small-disk.ts'

test('at its largest size the log starts afresh, and a bounded number of old ones stays', (t) => {
  const { file, path, directory } = logFile(t, { largestBytes: 20, oldFiles: 2 })
  for (const number of ['1', '2', '3', '4']) {
    file.write(`first of ${number}\n`)
    file.write(`next ${number}\n`)
  }
  assert.equal(readFileSync(path, 'utf8'), 'first of 4\nnext 4\n')
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'first of 3\nnext 3\n')
  assert.equal(readFileSync(`${path}.2`, 'utf8'), 'first of 2\nnext 2\n')
  assert.deepEqual(readdirSync(directory).toSorted(), ['daemon.log', 'daemon.log.1', 'daemon.log.2'])
  for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600)
})

test('what others write to the same file stays in order, also after it started afresh', (t) => {
  const { file, path, directory } = logFile(t, { largestBytes: 20 })
  const descriptor = openLogFile(directory)
  t.after(() => closeSync(descriptor))
  file.write('from the daemon\n')
  writeFileSync(descriptor, 'from Node\n')
  file.write('after it\n')
  writeFileSync(descriptor, 'Node again\n')
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'from the daemon\nfrom Node\n')
  assert.equal(readFileSync(path, 'utf8'), 'after it\nNode again\n')
})

test('a line that is larger than the whole log is written all the same, and alone', (t) => {
  const { file, path } = logFile(t, { largestBytes: 10 })
  file.write('a\n')
  file.write(`${'b'.repeat(100)}\n`)
  assert.equal(readFileSync(path, 'utf8').length, 101)
  file.write('c\n')
  assert.equal(readFileSync(path, 'utf8'), 'c\n')
})

test('a log that was removed, or replaced, is made anew for the next line', (t) => {
  const { file, path } = logFile(t)
  file.write('one\n')
  rmSync(path)
  file.write('two\n')
  assert.equal(readFileSync(path, 'utf8'), 'two\n')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  rmSync(path)
  writeFileSync(path, 'of somebody else\n', { mode: 0o644 })
  file.write('three\n')
  assert.equal(readFileSync(path, 'utf8'), 'of somebody else\nthree\n')
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('a log whose directory is gone loses lines and says so when it is back', (t) => {
  const { file, path, directory } = logFile(t)
  file.write('one\n')
  rmSync(directory, { recursive: true })
  file.write('two\n')
  file.write('three\n')
  mkdirSync(directory, { mode: 0o700 })
  file.write('four\n')
  const [lost = '', line] = readFileSync(path, 'utf8').split('\n')
  const { event, lines } = JSON.parse(lost) as { event: string; lines: number }
  assert.deepEqual({ event, lines, line }, { event: 'log.lines-lost', lines: 2, line: 'four' })
})

test('a log that cannot be moved aside is emptied before it grows without bounds', (t) => {
  const { file, path } = logFile(t, { largestBytes: 100, oldFiles: 1 })
  mkdirSync(`${path}.1`) // which no file can be copied onto
  for (let line = 0; line < 100; line++) {
    file.write(`line ${String(line).padStart(3)}\n`)
    assert.ok(statSync(path).size <= 200, `${statSync(path).size} bytes`)
  }
  assert.match(readFileSync(path, 'utf8'), /line {2}99\n$/u)
})

test(
  'on a full disk lines are lost and counted, none is half there, and it goes on when there is space',
  { skip: whyNoMount },
  (t) => {
    const directory = smallDisk(t)
    const path = logPath(directory)
    const file = new LogFile(path)
    t.after(() => file.close())
    file.write(numbered(0))
    fill(directory, 4096)
    for (let number = 1; number <= 40; number++) file.write(numbered(number))
    rmSync(join(directory, 'filler'))
    file.write(numbered(41))
    file.write(numbered(42))

    const entries = readFileSync(path, 'utf8').trimEnd().split('\n')
    const whole = entries.flatMap((entry) => parsed(entry) ?? [])
    assert.ok(entries.length - whole.length <= 1, 'one line at most broke off')
    const lost = whole.find(({ event }) => event === 'log.lines-lost')
    const numbers = whole.flatMap(({ number }) => number ?? [])
    assert.ok(lost?.lines !== undefined && lost.lines > 0)
    assert.equal(numbers.length + lost.lines, 43)
    assert.deepEqual(numbers.slice(-2), [41, 42])
  },
)

test('a descriptor leads to the file that it was opened on, and to no other', (t) => {
  const { path, directory } = logFile(t)
  const descriptor = openLogFile(directory)
  const other = openSync(join(directory, 'other'), 'w')
  t.after(() => [descriptor, other].forEach((each) => closeSync(each)))
  assert.equal(leadsTo(descriptor, path), true)
  assert.equal(leadsTo(other, path), false)
  assert.equal(leadsTo(descriptor, join(directory, 'none')), false)
  assert.equal(existsSync(join(directory, 'none')), false)
  assert.equal(leadsTo(10_000, path), false)
})

function numbered(number: number): string {
  return `${JSON.stringify({ number, text: 'x'.repeat(500) })}\n`
}

interface Entry {
  number?: number
  event?: string
  lines?: number
}

function parsed(line: string): Entry | null {
  try {
    return JSON.parse(line) as Entry
  } catch {
    return null
  }
}

function logFile(
  t: TestContext,
  limits: LogFileLimits = {},
): { file: LogFile; path: string; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
  const path = logPath(directory)
  const file = new LogFile(path, limits)
  t.after(() => {
    file.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return { file, path, directory }
}
