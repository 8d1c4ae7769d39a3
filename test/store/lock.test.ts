import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { acquireLock } from '../../src/store/lock.ts'
import { openStore } from '../../src/store/store.ts'
import { runProcess } from '../lab/process.ts'
import { withoutLocks } from '../no-locks.ts'
import { assertFails, temporaryDirectory } from './fixtures.ts'

test('a directory has one owner at a time, within a process too', (context) => {
  const directory = temporaryDirectory(context)
  const lock = acquireLock(directory)
  assertFails(() => acquireLock(directory), 'already-running')
  // The failed attempt must not have taken the lock away from its owner.
  assertFails(() => acquireLock(directory), 'already-running')
  lock.release()
  lock.release()
  acquireLock(directory).release()
})

test('an open store refuses a second one, and another process, until it is killed', async (context) => {
  const directory = temporaryDirectory(context)
  const program = `
    const { openStore } = await import(${JSON.stringify(import.meta.resolve('../../src/store/store.ts'))})
    openStore({ dataDir: process.argv[1] })
    console.log('open')
    setInterval(() => undefined, 1_000)`
  const arguments_ = ['--no-warnings', '--input-type=module', '-e', program, directory]
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] })
  context.after(() => child.kill('SIGKILL'))
  const exit = once(child, 'exit')
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(30_000) })
  assertFails(() => openStore({ dataDir: directory }), 'already-running', /another process/)
  child.kill('SIGKILL')
  await exit
  const store = openStore({ dataDir: directory })
  assertFails(() => openStore({ dataDir: directory }), 'already-running')
  store.close()
  openStore({ dataDir: directory }).close()
})

test('of processes that start at once in a new directory, one opens the store and the others say why not', async (context) => {
  const directory = join(temporaryDirectory(context), 'data')
  const program = `
    const { openStore } = await import(${JSON.stringify(import.meta.resolve('../../src/store/store.ts'))})
    console.log('ready')
    process.stdin.once('data', () => {
      try {
        openStore({ dataDir: process.argv[1] })
        console.log('open')
      } catch (error) {
        console.log(error.code)
      }
    })`
  const arguments_ = ['--no-warnings', '--input-type=module', '-e', program, directory]
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, arguments_, { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  context.after(() => children.forEach((child) => child.kill('SIGKILL')))
  const line = async (child: (typeof children)[number]): Promise<string> => {
    const [chunk] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(30_000) })) as [Buffer]
    return chunk.toString().trim()
  }
  assert.deepEqual(new Set(await Promise.all(children.map(line))), new Set(['ready']))
  const answers = Promise.all(children.map(line))
  for (const child of children) child.stdin.write('go')
  assert.deepEqual((await answers).sort(), ['already-running', 'already-running', 'already-running', 'open'])
})

test('a store that could not be opened does not keep the lock', (context) => {
  const directory = temporaryDirectory(context)
  writeFileSync(join(directory, 'identity.json'), 'damaged', { mode: 0o600 })
  assertFails(() => openStore({ dataDir: directory }), 'identity-damaged')
  acquireLock(directory).release()
})

test('a file system without locks is named as one, and not another process', async (context) => {
  const made = await withoutLocks(temporaryDirectory(context))
  if (typeof made === 'string') return context.skip(made)
  const program = `
    const { acquireLock } = await import(${JSON.stringify(import.meta.resolve('../../src/store/lock.ts'))})
    try { acquireLock(process.argv[1]) } catch (error) { console.log(error.code, error.message) }`
  const directory = temporaryDirectory(context)
  const { stdout } = await runProcess(
    [process.execPath, '--no-warnings', '--input-type=module', '-e', program, directory],
    made,
  )
  assert.match(stdout, /^directory-unusable .* cannot lock files/)
  assert.deepEqual(readdirSync(directory), ['lock.db'])
})

test('a lock file of another kind is named, not overwritten', (context) => {
  const directory = temporaryDirectory(context)
  writeFileSync(join(directory, 'lock.db'), 'x'.repeat(5_000), { mode: 0o600 })
  const error = assertFails(() => acquireLock(directory), 'directory-unusable', /lock\.db/)
  assert.match(error.hint ?? '', /delete this file/)
})
