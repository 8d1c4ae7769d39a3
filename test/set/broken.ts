import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { handOver, take } from '../../src/set/border.ts'
import type { SetRecord } from '../../src/set/record.ts'
import type { Patch } from '../threats/threat.ts'

/** The module as it is, or with one rule taken out while it is loaded. */
export interface Subject {
  what: string
  SetRecord: typeof SetRecord
  take: typeof take
  handOver: typeof handOver
}

export const shipped: Subject = {
  what: 'as it is',
  ...(await import('../../src/set/record.ts')),
  ...(await import('../../src/set/border.ts')),
}

/** What each version lacks; the stories must notice it. */
const broken: readonly { what: string; patches: readonly Patch[] }[] = [
  {
    what: 'rule (i): whoever says so is a member',
    patches: [
      {
        file: 'src/set/border.ts',
        find: `if (both.view().members(me).has(peer)) return`,
        replace: `if (offered.length > 0) return`,
      },
    ],
  },
]

/** Loads each version. */
export async function brokenVersions(): Promise<Subject[]> {
  return Promise.all(
    [...broken.entries()].map(async ([number, { what }]) => {
      const load = async (file: string): Promise<object> =>
        import(`../../src/set/${file}.ts?broken=${number}`)
      return { what, ...(await load('record')), ...(await load('border')) } as Subject
    }),
  )
}

const folder = new URL('../../src/set/', import.meta.url)
const project = new URL('../../', import.meta.url)

function versionOf(url: string | undefined): string | null {
  return url?.startsWith(folder.href) ? new URL(url).searchParams.get('broken') : null
}

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context)
    const version = versionOf(context.parentURL)
    if (version === null || !resolved.url.startsWith(folder.href)) return resolved
    return { ...resolved, url: `${resolved.url}?broken=${version}` }
  },
  load(url, context, nextLoad) {
    const version = versionOf(url)
    if (version === null) return nextLoad(url, context)
    const file = new URL(url)
    file.search = ''
    let source = readFileSync(fileURLToPath(file), 'utf8')
    for (const { file: patched, find, replace } of broken[Number(version)]?.patches ?? []) {
      if (new URL(patched, project).href !== file.href) continue
      if (source.split(find).length !== 2) throw new Error(`${patched} does not contain once: ${find}`)
      source = source.replace(find, () => replace)
    }
    return { format: 'module-typescript', source, shortCircuit: true }
  },
})
