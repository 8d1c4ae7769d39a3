import { builtinModules } from 'node:module'
import type { Plugin } from 'esbuild'

/**
 * Has the bundles take from Node's own modules what they use, and nothing else: an import of such a module by an ES module reads all
 * of its properties, and so loads WebCrypto with `crypto`, promises and streams with `fs`.
 */
export const builtinProperties: Plugin = {
  name: 'builtin-properties',
  setup: (builder) => {
    const names = new RegExp(`^(?:node:(?:${builtinModules.join('|')}|sqlite)|${builtinModules.join('|')})$`)
    builder.onResolve({ filter: names }, ({ path, kind }) =>
      kind === 'import-statement'
        ? { path: path.startsWith('node:') ? path : `node:${path}`, namespace, sideEffects: false }
        : { path, external: true },
    )
    builder.onLoad({ filter: /./, namespace }, ({ path }) => ({ contents: moduleOf(path), loader: 'js' }))
  },
}

const namespace = 'builtin'

/** Module of which esbuild keeps what is imported: each is a call without effects. */
function moduleOf(name: string): string {
  const builtin: unknown = process.getBuiltinModule(name)
  if (typeof builtin !== 'object' && typeof builtin !== 'function') throw new Error(`Node has no ${name}`)
  const properties = Object.keys(builtin ?? {}).filter((property) => property !== 'default')
  return [
    `const builtin = /* @__PURE__ */ process.getBuiltinModule('${name}')`,
    `const property = (name) => builtin[name]`,
    `export default builtin`,
    ...properties.map((property) => `export const ${property} = /* @__PURE__ */ property('${property}')`),
  ].join('\n')
}
