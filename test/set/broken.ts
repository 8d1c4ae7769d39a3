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

const view = 'src/set/view.ts'
const record = 'src/set/record.ts'
const border = 'src/set/border.ts'

/** What each version lacks; exploration, stories, or both must notice it. */
const broken: readonly { what: string; noticedBy: 'exploration' | 'stories'; patches: readonly Patch[] }[] = [
  {
    what: 'the cut: links that a removal has not seen do not conduct',
    noticedBy: 'exploration',
    patches: [
      { file: view, find: `(this.#seen.get(peer)?.has(index) ?? true) &&`, replace: `index >= 0 &&` },
    ],
  },
  {
    what: 'the cut by a fork',
    noticedBy: 'exploration',
    patches: [
      { file: view, find: `number < (this.#forks.get(peer) ?? Infinity),`, replace: `number < Infinity,` },
    ],
  },
  {
    what: 'removals that nothing voids',
    noticedBy: 'exploration',
    patches: [
      {
        file: view,
        find: `      if (isRemoval(entry.statement)) this.#remove(entry, entry.statement.target)\n`,
        replace: `      const voided = entry.statement.signers.some(({ peer }) => this.#removed.has(peer))
      if (isRemoval(entry.statement) && !voided) this.#remove(entry, entry.statement.target)\n`,
      },
    ],
  },
  {
    what: 'every removal that counts: only what the last one has seen',
    noticedBy: 'exploration',
    patches: [
      { file: view, find: `if (seen === undefined) this.#seen.set(`, replace: `this.#seen.set(` },
      { file: view, find: `    else seen.keep(past)\n`, replace: `    void seen\n` },
    ],
  },
  {
    what: 'the way through removed devices',
    noticedBy: 'exploration',
    patches: [
      {
        file: view,
        find: `      if (!this.#conducts(link)) continue\n`,
        replace: `      if (!this.#conducts(link) || this.isRemoved(first.peer) || this.isRemoved(second.peer)) continue\n`,
      },
    ],
  },
  {
    what: 'the refusal of statements by a signer that is removed in their own past',
    noticedBy: 'exploration',
    patches: [
      {
        file: record,
        find: `  if (statement.signers.some(({ peer }) => view.isRemoved(peer))) return 'signer-removed'\n`,
        replace: ``,
      },
    ],
  },
  {
    what: 'the judgement of a statement by its own past: the order of arrival decides',
    noticedBy: 'exploration',
    patches: [
      {
        file: record,
        find: `refusalByView(statement, this.#viewOfPast(entry, before))`,
        replace: `refusalByView(statement, before.length < 0 ? this.#viewOfPast(entry, before) : this.view())`,
      },
    ],
  },
  {
    what: 'rule (i): whoever says so is a member',
    noticedBy: 'stories',
    patches: [
      {
        file: border,
        find: `if (both.view().members(me).has(peer)) return`,
        replace: `if (offered.length > 0) return`,
      },
    ],
  },
  {
    what: 'rule (ii) for those that are suspended',
    noticedBy: 'stories',
    patches: [
      {
        file: border,
        find: `view.isRemoved(peer) ? [peer] : theirs.flatMap(identitiesIn)`,
        replace: `view.isRemoved(peer) ? [peer] : theirs.slice(theirs.length).flatMap(identitiesIn)`,
      },
    ],
  },
  {
    what: 'rule (ii) for those that are removed',
    noticedBy: 'stories',
    patches: [
      {
        file: border,
        find: `view.isRemoved(peer) ? [peer] : theirs.flatMap(identitiesIn)`,
        replace: `view.isRemoved(peer) ? [] : theirs.flatMap(identitiesIn)`,
      },
    ],
  },
  {
    what: 'the taking of a removal from one that is a member no longer',
    noticedBy: 'stories',
    patches: [
      {
        file: border,
        find: `  if (!mine.view().members(me).has(peer)) return`,
        replace: `  if (offered.length >= 0) return`,
      },
    ],
  },
]

/** Loads each version that the exploration, or the stories, must notice. */
export async function brokenVersions(noticedBy: 'exploration' | 'stories'): Promise<Subject[]> {
  return Promise.all(
    [...broken.entries()]
      .filter(([, version]) => version.noticedBy === noticedBy)
      .map(async ([number, { what }]) => {
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
