import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache()
hideSqliteWarning()

// A checkout runs its source, so that nobody wonders why a change does nothing; the package has only the bundle.
const source = new URL('../src/cli/main.ts', import.meta.url)
const bundle = new URL('../dist/command/main.js', import.meta.url)
const { main } = await import(existsSync(source) ? source : bundle)
process.exitCode = await main(process.argv.slice(2), {
  binPath: fileURLToPath(new URL('spacedock.js', import.meta.url)),
})

/** Node calls its SQLite experimental at each start, which the user of this command can do nothing about. */
function hideSqliteWarning() {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' ? rest[0]?.type : rest[0]
    if (type === 'ExperimentalWarning' && String(warning).includes('SQLite')) return
    emitWarning.call(process, warning, ...rest)
  }
}
