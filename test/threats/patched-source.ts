import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Patch } from './threat.ts'

/**
 * Loaded with --import into every process of a control: takes a defence out of the source while it is loaded, and
 * leaves the files alone.
 */
const patches = JSON.parse(process.env['SPACEDOCK_TEST_PATCHES'] ?? '[]') as Patch[]
const project = new URL('../../', import.meta.url)
const patched = new Map<string, string>()

for (const { file, find, replace } of patches) {
  const url = new URL(file, project).href
  const source = patched.get(url) ?? readFileSync(fileURLToPath(url), 'utf8')
  const pieces = source.split(find)
  if (pieces.length !== 2) {
    throw new Error(`${file} contains ${pieces.length - 1} times what the control wants to take out: ${find}`)
  }
  patched.set(url, pieces.join(replace))
}

registerHooks({
  load(url, context, nextLoad) {
    const source = patched.get(url)
    if (source === undefined) return nextLoad(url, context)
    return { format: 'module-typescript', source, shortCircuit: true }
  },
})
