import { readFileSync, writeFileSync } from 'node:fs'
import { writeBetween } from '../marked-text.ts'
import { resultsOf, runOf, type BenchFile, type Figures } from './figures.ts'
import { pictures } from './pictures.ts'
import { tables } from './tables.ts'

/**
 * Puts figures into docs/performance.md, as tables and as pictures:
 *
 *     npm run bench:draw [-- bench.json links.json]
 *
 * Without files, those that are there already are drawn again.
 */
const folder = new URL('../../docs/performance/', import.meta.url)
const kept = new URL('figures.json', folder)
const files = process.argv.slice(2)
if (files.length > 0) {
  const runs = files.map((file) => runOf(JSON.parse(readFileSync(file, 'utf8')) as BenchFile))
  writeFileSync(kept, `${JSON.stringify({ runs })}\n`)
}
const figures = JSON.parse(readFileSync(kept, 'utf8')) as Figures
const results = resultsOf(figures)
for (const [name, drawn] of Object.entries(pictures(results))) writeFileSync(new URL(name, folder), drawn)
writeBetween(new URL('../performance.md', folder), 'figures', tables(figures, results))
