import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((file) => existsSync(join(root, file)))

interface Link {
  text: string
  /** Relative to the project; a folder has no slash at its end. */
  file: string
  anchor: string
}

test('a link from a document to a file, or to a heading of one, leads there', () => {
  const links = documents.flatMap((document) => linksOf(document).map((link) => ({ document, ...link })))
  assert.ok(links.length > 100, 'the links were found')
  const dead = links.filter(({ file, anchor }) => !leadsTo(file, anchor))
  assert.deepEqual(
    dead.map(({ document, text }) => `${document}: ${text}`),
    [],
  )
})

test('what README.md links to is in the package', () => {
  const packed = filesOfThePackage()
  const missing = linksOf('README.md').filter(
    ({ file }) => !packed.some((path) => path === file || path.startsWith(`${file}/`)),
  )
  assert.deepEqual(
    missing.map(({ text }) => text),
    [],
  )
})

function linksOf(document: string): Link[] {
  const text = readFileSync(join(root, document), 'utf8').replaceAll(/^(?: {4}|```).*$/gmu, '')
  return [...text.matchAll(/\]\((?!https:)([^()\s]+)\)/gu)].map(([, target = '']) => {
    const [path = '', anchor = ''] = target.split('#')
    const file = path === '' ? document : normalize(join(dirname(document), path)).replace(/\/$/u, '')
    return { text: target, file, anchor }
  })
}

function leadsTo(file: string, anchor: string): boolean {
  const path = join(root, file)
  if (!existsSync(path)) return false
  if (anchor === '') return true
  return statSync(path).isFile() && anchorsOf(readFileSync(path, 'utf8')).includes(anchor)
}

/** As forges make them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gmu)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Without those that a build makes. */
function filesOfThePackage(): string[] {
  // On Windows npm is no executable but a script for the shell.
  const options = { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' } as const
  const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], options)
  const [tarball] = JSON.parse(listed) as { files: { path: string }[] }[]
  return tarball?.files.map(({ path }) => path) ?? []
}
