import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { build } from 'esbuild'
import { compilerPath } from './compiler.ts'

/** The library as modules with types (tsc), and the command as one file (esbuild): it starts three times as fast. */
rmSync('dist', { recursive: true, force: true })
execFileSync(process.execPath, [compilerPath, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
await build({
  entryPoints: ['src/cli/main.ts'],
  outdir: 'dist/command',
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  platform: 'node',
  format: 'esm',
  target: 'node22.13',
  legalComments: 'none',
  logLevel: 'warning',
  // Some dependencies are CommonJS and call require(), which an ES module has not.
  banner: {
    js: "import { createRequire as _createRequire } from 'node:module'; const require = _createRequire(import.meta.url);",
  },
})
