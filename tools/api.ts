import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { compilerPath } from './compiler.ts'

/**
 * The report of the public API, docs/api.md: every declaration that an application can see, in the form in which it is published,
 * without its comments. `npm run api` writes it; with --check, as in `npm run check`, a report that is out of date is refused. So
 * are types that the published ones are made of and that nobody can import.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const reportPath = join(root, 'docs/api.md')
const entries = { spacedock: 'index.d.ts', 'spacedock/testing': 'testing/index.d.ts' }
/** The only types of others that ours are made of: Node's, and those of a dependency. */
const foreign = new Set(['node:stream/web', '@standard-schema/spec'])

const head = `# The public API

Made from the published types by \`npm run api\`; \`npm run check\` compares them. What each declaration means is in its comment:
\`npm run docs\` makes a reference of those.`

const report = await format(readApi(), { ...(await resolveConfig(reportPath)), filepath: reportPath })
if (!process.argv.includes('--check')) writeFileSync(reportPath, report)
else if (readFileSync(reportPath, 'utf8') !== report) {
  process.stderr.write(
    'The public API is not what docs/api.md says: "npm run api" writes it anew, and "git diff" shows what has changed.\n',
  )
  process.exitCode = 1
}

function readApi(): string {
  const folder = mkdtempSync(join(tmpdir(), 'spacedock-api-'))
  try {
    const options = ['--emitDeclarationOnly', '--removeComments', '--outDir', folder]
    const args = [compilerPath, '-p', 'tsconfig.build.json', ...options]
    execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
    const shown = new Set<string>()
    const sections = Object.entries(entries).map(([name, entry]) => section(name, entry, folder, shown))
    return [head, ...sections].join('\n\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What one way of importing the package gives; what an earlier one has shown is not shown again. */
function section(name: string, entry: string, folder: string, shown: Set<string>): string {
  const exported = new Set<string>()
  const found: { name: string; file: string; text: string }[] = []
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const text of statements(readFileSync(join(folder, file), 'utf8'))) {
      const [, source] = /^(?:import|export) [^;]*? from '([^']+)';$/su.exec(text) ?? []
      const next =
        source !== undefined && source.startsWith('.')
          ? join(dirname(file), source.replace(/\.ts$/u, '.d.ts'))
          : null
      if (source === undefined) found.push({ name: nameOf(text), file, text })
      else if (next !== null) visit(next)
      else if (!foreign.has(source)) throw new Error(`${file} needs the types of ${source}`)
      if (file === entry) for (const each of namesIn(text)) exported.add(each === '*' ? `* ${next}` : each)
    }
  }
  visit(entry)
  const hidden = found.filter(({ name, file }) => !exported.has(name) && !exported.has(`* ${file}`))
  const unreachable = hidden.filter(({ name, file }) => !shown.has(`${file} ${name}`))
  if (unreachable.length > 0) {
    const names = unreachable.map(({ name, file }) => `${name} in ${file}`)
    throw new Error(`No export of ${name}, and yet a part of its types: ${names.join(', ')}`)
  }
  const fresh = found.filter(({ name, file }) => !shown.has(`${file} ${name}`))
  for (const { name, file } of fresh) shown.add(`${file} ${name}`)
  const texts = fresh.toSorted((one, other) => (one.name < other.name ? -1 : 1)).map(({ text }) => text)
  return [`## \`${name}\``, '', '```ts', texts.join('\n\n'), '```'].join('\n')
}

/** The compiler begins each one, and nothing else but a closing bracket, at the beginning of a line. */
function statements(text: string): string[] {
  return text.split(/^(?=[a-z])/mu).map((statement) => statement.trim())
}

function nameOf(declaration: string): string {
  const found = /^(?:export )?(?:declare )?(?:interface|type|class|function|const) (\w+)/u.exec(declaration)
  if (found?.[1] === undefined) throw new Error(`not understood: ${declaration}`)
  return found[1]
}

/** `export { a, type B } from`: `a` and `B`; `export type * from`: `*`. */
function namesIn(statement: string): string[] {
  if (/^export (?:type )?\* from/u.test(statement)) return ['*']
  const [, names = ''] = /^export (?:type )?\{([^}]*)\}/u.exec(statement) ?? []
  return names.split(',').flatMap((name) => name.replace(/^\s*type /u, '').trim() || [])
}
