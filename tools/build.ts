import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { builtinProperties } from './builtin-modules.ts'
import { compilerPath } from './compiler.ts'
import { plainOrder, platformHash, requireInside } from './dependency-changes.ts'
import { checkLoadedAtStart } from './loaded-at-start.ts'
import { writeNotices } from './notices.ts'

/** What only a process runs that holds a node: bin/start.js has it take the other bundle. */
const withoutNode: Plugin = {
  name: 'without-node',
  setup: (builder) => {
    // oxlint-disable-next-line require-unicode-regexp -- Go's own syntax, which knows no flag u
    builder.onResolve(
      { filter: /\/(?:node|daemon\/run|daemon\/rendezvous-process)\.ts$/ },
      ({ kind, path }) => (kind === 'dynamic-import' ? { path, external: true } : null),
    )
  },
}

/**
 * The declarations of types (tsc), and the library, its testing kit and the command in a few files with all that they use
 * (esbuild): they start several times as fast as hundreds of modules do, and nothing else has to be installed.
 */
rmSync('dist', { recursive: true, force: true })
const compile = [compilerPath, '-p', 'tsconfig.build.json', '--emitDeclarationOnly']
execFileSync(process.execPath, compile, { stdio: 'inherit' })
const common: BuildOptions = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.13',
  legalComments: 'none',
  // Less to read at every start. Names stay as they are in the source, so that a stack trace says something.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 200,
  logLevel: 'warning',
  // Some dependencies are CommonJS and ask for Node's own modules by require(), which an ES module has not.
  banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
}
const whole = await build({
  ...common,
  entryPoints: {
    index: 'src/index.ts',
    'testing/index': 'src/testing/index.ts',
    'command/main': 'src/cli/main.ts',
  },
  // What two of them use is there once: a class of the library is the same one in the testing kit.
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  metafile: true,
  plugins: [builtinProperties, requireInside, plainOrder, platformHash],
})
// The command that talks to a daemon is started again and again: it is one file.
const client = await build({
  ...common,
  entryPoints: { 'command/client': 'src/cli/main.ts' },
  metafile: true,
  plugins: [builtinProperties, withoutNode],
})
const outputs = { ...whole.metafile.outputs, ...client.metafile.outputs }
for (const file of Object.keys(outputs)) {
  // An application that makes a bundle of its own, as CommonJS, has no such place.
  if (readFileSync(file, 'utf8').includes('import.meta')) throw new Error(`${file} asks where it lies`)
}
checkLoadedAtStart(outputs)
writeNotices(Object.keys(whole.metafile.inputs), 'dist')
