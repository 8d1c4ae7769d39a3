import { readFileSync } from 'node:fs'
import type { Plugin } from 'esbuild'

/**
 * A dependency that reads its own package.json by a require() made for the place of its file. In a bundle that place is another one:
 * what it reads is put into the bundle.
 */
export const requireInside: Plugin = {
  name: 'require-inside',
  setup: (builder) => {
    // Go's own syntax, which knows no flag u.
    // oxlint-disable-next-line require-unicode-regexp
    builder.onLoad({ filter: /@achingbrain.ssdp.dist.src.ssdp\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8')
        .replace('const req = createRequire(import.meta.url);', '')
        .replace("req('../../package.json')", "require('../../package.json')"),
    }))
  },
}

/**
 * Dependencies that put strings in an order, whichever, by the rules of a language: at the start of every program ICU is loaded for
 * that, which takes some ten milliseconds and four megabytes. The order of code units does as well.
 */
export const plainOrder: Plugin = {
  name: 'plain-order',
  setup: (builder) => {
    // oxlint-disable-next-line require-unicode-regexp -- as above
    builder.onLoad({ filter: /@libp2p.(?:peer-store|peer-record).dist.src.*\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      if (!source.includes('.localeCompare(')) return undefined
      const comparison = /([\w.]+(?:\(\))?)\.localeCompare\(([\w.]+(?:\(\))?)\)/gu
      const contents = source.replaceAll(comparison, 'inOrder($1, $2)')
      if (contents.includes('.localeCompare('))
        throw new Error(`${path} compares in another way than is known`)
      return { contents: `${contents}\nfunction inOrder(a, b) { return a < b ? -1 : a > b ? 1 : 0 }\n` }
    })
  },
}

/** A hash of WebAssembly, which is compiled at the start of every program, and then called by nobody: the platform's, in its place. */
export const platformHash: Plugin = {
  name: 'platform-hash',
  setup: (builder) => {
    // oxlint-disable-next-line require-unicode-regexp -- as above
    builder.onLoad({ filter: /@chainsafe.as-sha256.lib.index\.js$/ }, () => ({
      contents: `import { createHash } from 'node:crypto'
        export const digest = (data) => createHash('sha256').update(data).digest()`,
    }))
  },
}
