import { enableCompileCache, getCompileCacheDir } from 'node:module'

// Hands the cache of compiled code to every process that the tests start: loading the source anew is what most of them would
// spend their time with.
enableCompileCache()
process.env['NODE_COMPILE_CACHE'] ??= getCompileCacheDir()
