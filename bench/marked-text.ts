import { readFileSync, writeFileSync } from 'node:fs'

/** Puts a text in the place of what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a document. */
export function writeBetween(file: URL, name: string, text: string): void {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const before = readFileSync(file, 'utf8')
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`${file.pathname} has no ${begin} and ${end} after it`)
  writeFileSync(file, `${before.slice(0, from + begin.length)}\n\n${text}\n\n${before.slice(to)}`)
}
