import { createRequire } from 'node:module'

/** The script that is `tsc`. */
export const compilerPath = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc')
