import { enableCompileCache, registerHooks } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { arm, wrappers, type Arming } from './crash-points.ts'

/**
 * The `spacedock` command, with wrappers around a few functions while they are loaded: a line `{"at","action"}` on standard
 * input says at which point it is to end or stop. A wrapper whose function is not there any more is an error.
 */
enableCompileCache()
const project = new URL('../../', import.meta.url)
const points = new URL('crash-points.ts', import.meta.url).href
const facades = new Map(
  Object.entries(wrappers).map(([file, names]) => [
    new URL(file, project).href,
    { file, names: Object.keys(names) },
  ]),
)

registerHooks({
  load(url, context, nextLoad) {
    const facade = facades.get(url)
    if (facade === undefined) return nextLoad(url, context)
    facades.delete(url)
    const { file, names } = facade
    const real = JSON.stringify(`${url}?real`)
    const source = [
      `import * as real from ${real}`,
      `export * from ${real}`,
      `import { wrappers } from ${JSON.stringify(points)}`,
      `const wrap = wrappers[${JSON.stringify(file)}]`,
      ...names.map(
        (name) => `if (typeof real.${name} !== 'function') throw new Error('${file} has no ${name} to wrap')`,
      ),
      ...names.map((name) => `export const ${name} = wrap.${name}(real.${name})`),
    ]
    return { format: 'module', source: source.join('\n'), shortCircuit: true }
  },
})

createInterface({ input: process.stdin }).on('line', (line) => {
  arm(JSON.parse(line) as Arming)
  process.stdout.write('armed\n')
})

const { main } = await import('../../src/cli/main.ts')
const binPath = fileURLToPath(new URL('bin/spacedock.js', project))
const exitCode = await main(process.argv.slice(2), { binPath })
if (facades.size > 0) throw new Error(`never loaded: ${[...facades.keys()].join(', ')}`)
// Standard input, which is still being read, would keep it alive.
process.exit(exitCode)
