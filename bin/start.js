// Asked for by name, one by one: an import reads all properties of such a module, and each of them loads something.
const { existsSync } = process.getBuiltinModule('node:fs')
const { enableCompileCache } = process.getBuiltinModule('node:module')
const { fileURLToPath } = process.getBuiltinModule('node:url')

enableCompileCache()
hideSqliteWarning()

const argv = process.argv.slice(2)
// A daemon or rendezvous node itself: all else only talks to one, and is a file of its own, a seventh of the size.
const holdsNode = argv.some((argument) => argument === '--foreground' || argument === 'rendezvous')

// A checkout runs its source, so that nobody wonders why a change does nothing; the package has only the bundles.
const source = new URL('../src/cli/main.ts', import.meta.url)
const bundle = new URL(`../dist/command/${holdsNode ? 'main' : 'client'}.js`, import.meta.url)
const { main } = await import(existsSync(source) ? source : bundle)
process.exitCode = await main(argv, {
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
