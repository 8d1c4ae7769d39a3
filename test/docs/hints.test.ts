import assert from 'node:assert/strict'
import { relative } from 'node:path'
import { test } from 'node:test'
import { withCommandHint } from '../../src/cli/command-hints.ts'
import { SpacedockError, type ErrorCode, type SpacedockErrorOptions } from '../../src/errors.ts'
import { describeError, restoreError } from '../../src/daemon/error-line.ts'
import { findDevice } from '../../src/store/device-search.ts'
import { deviceInfo } from '../store/fixtures.ts'
import { inspectSource, root, textsIn } from './source.ts'

/** What belongs to the command, and to nobody else's window. */
const ofTheCommand = /\bspacedock [a-z]|(?<![\w-])--[a-z]/u

test('what the library says names no command and no option of the command line', () => {
  const texts = inspectSource('tsconfig.json', ({ program }) => {
    const files = program.getSourceFileNames().map((file) => ({ file, path: relative(root, file) }))
    return files
      .filter(({ path }) => /^src\/(?!cli\/|daemon\/)/u.test(path))
      .flatMap(({ file, path }) => {
        const source = program.getSourceFile(file)
        return source === undefined ? [] : textsIn(source).map((text) => ({ path, text }))
      })
  })
  assert.ok(texts.some(({ text }) => text === 'Pair the two devices again.'))
  assert.deepEqual(
    texts.filter(({ text }) => ofTheCommand.test(text)),
    [],
  )
})

test('the command says by code and option what does it on the command line', () => {
  assert.equal(
    hintOf('port-taken', { hint: 'Give another one.', option: 'port' }),
    'Give another one. The option for it is --port.',
  )
  assert.equal(hintOf('cancelled', { hint: 'Try again.' }), 'Try again. "spacedock pair" shows one.')
  assert.equal(hintOf('offline', { hint: 'Wait.' }), 'Wait.')
})

test('only whoever has no device yet is told how to pair one, also over the daemon', () => {
  assert.match(told([]), /"spacedock pair"/u)
  assert.equal(told(['phone']), 'The paired devices are: phone.')
})

function hintOf(code: ErrorCode, details: SpacedockErrorOptions): string | undefined {
  return withCommandHint(new SpacedockError(code, 'It failed.', details)).hint
}

/** The hint for a name that no device has, where these are paired. */
function told(names: string[]): string {
  try {
    findDevice(
      'nobody',
      names.map((name) => deviceInfo({ name })),
    )
    return assert.fail('somebody was found')
  } catch (error) {
    return withCommandHint(restoreError(describeError(error))).hint ?? ''
  }
}
