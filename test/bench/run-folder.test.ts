import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { leftovers } from '../../bench/table/run-folder.ts'

const temporary = mkdtempSync(join(tmpdir(), 'run-folder-'))
after(() => rmSync(temporary, { recursive: true }))

const source = JSON.stringify(new URL('../../bench/table/run-folder.ts', import.meta.url).href)

/** Opens a run folder in a process of its own, and goes on as told. */
function run(program: string): string {
  const script = `import { openRunFolder } from ${source}; const folder = openRunFolder(); console.log(folder); ${program}`
  const env = { ...process.env, TMPDIR: temporary }
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env,
    encoding: 'utf8',
  }).stdout.trim()
}

test('the folder of a run is where its programs make theirs, and goes with it', () => {
  const [folder, made] = run(
    "console.log((await import('node:fs')).mkdtempSync((await import('node:os')).tmpdir() + '/x-'))",
  ).split('\n')
  assert.ok(folder !== undefined && made?.startsWith(`${folder}/x-`), made)
  assert.deepEqual(readdirSync(temporary), [])
})

test('what a killed run has left goes with the next one', () => {
  const killed = run("process.kill(process.pid, 'SIGKILL')")
  assert.ok(existsSync(killed), killed)
  assert.deepEqual(leftovers(temporary), [killed])
  run('')
  assert.deepEqual(readdirSync(temporary), [])
})

test('the folder of a run that goes on, and what is not of the benchmark, stay', () => {
  for (const name of [`spacedock-bench-${process.pid}-abc`, 'spacedock-bench-abc', 'other-1-abc'])
    mkdirSync(join(temporary, name))
  assert.deepEqual(leftovers(temporary), [])
  run('')
  assert.equal(readdirSync(temporary).length, 3)
})
