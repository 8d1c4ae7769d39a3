import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const { scripts, version } = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>
  version: string
}
const suites = Object.keys(scripts).filter((script) => /^test(?::|$)/u.test(script))

test('CONTRIBUTING.md names every suite, and no script that there is not', () => {
  const text = read('CONTRIBUTING.md')
  for (const suite of suites) {
    assert.ok(text.includes(suite === 'test' ? '| `npm test` ' : `| \`npm run ${suite}\` `), suite)
  }
  for (const document of ['CONTRIBUTING.md', 'README.md', 'ARCHITECTURE.md', 'docs/threats.md']) {
    for (const [, script = ''] of read(document).matchAll(/npm run ([\w:]+)/gu)) {
      assert.ok(scripts[script], `${document}: npm run ${script}`)
    }
  }
})

test('.ci/run runs every suite, and the forge runs .ci/run', () => {
  const run = read('.ci/run')
  for (const suite of suites) {
    assert.match(run, suite === 'test' ? /npm test$/mu : new RegExp(`npm run ${suite}(?: -- .*)?$`, 'mu'))
  }
  assert.match(read('.github/workflows/ci.yml'), / \.ci\/run$/mu)
})

test('CHANGELOG.md is in order: what is not released first, then versions, the newest first, that of the package among them', () => {
  const headings = [...read('CHANGELOG.md').matchAll(/^## (.*)$/gmu)].map(([, heading = '']) => heading)
  const [unreleased, ...released] = headings
  assert.equal(unreleased, '[Unreleased]')
  for (const heading of released) assert.match(heading, /^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/u)
  const dates = released.map((heading) => heading.slice(-10))
  assert.deepEqual(dates, dates.toSorted().toReversed())
  assert.ok(released.some((heading) => heading.startsWith(`[${version}]`)))
})

test('docs/decisions/README.md lists every decision once, in their order', () => {
  const files = readdirSync(join(root, 'docs/decisions')).filter((file) => /^\d{4}-/u.test(file))
  const listed = [...read('docs/decisions/README.md').matchAll(/^- \[(\d{4})\]\((\1-[\w-]+\.md)\) /gmu)]
  assert.deepEqual(
    listed.map(([, , file]) => file),
    files.toSorted(),
  )
})
