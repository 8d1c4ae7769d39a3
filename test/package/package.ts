import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle, compile, compilers, fetchCompiler, resolutions } from './consumers.ts'
import { containerCommand, unitCommand } from './packaging.ts'

/**
 * Packs the package, installs it in an empty folder as a stranger would, and uses it with the oldest Node that it
 * supports, the one it is developed with, and one that is too old.
 */

const root = fileURLToPath(new URL('../..', import.meta.url))
const oldestNode = '22.13.1'
const tooOldNode = '20.19.0'
let passed = 0

const useLibrary = `
import { mkdtempSync } from 'node:fs'
import { createNode } from 'spacedock'
const loopback = process.platform === 'darwin' ? 'lo0' : 'lo'
const start = (name) => createNode({ dataDir: mkdtempSync('data-'), name, interfaces: [loopback], mdns: false })
async function pairTwo() {
  const [alice, bob] = await Promise.all([start('alice'), start('bob')])
  const invitation = await alice.pair()
  const seenByBob = await bob.join(invitation.uri)
  const seenByAlice = await invitation.paired
  console.log('paired', seenByBob.name, seenByAlice.name)
  await Promise.all([alice.close(), bob.close()])
}
void pairTwo()
`

const useTesting = `
import { simulate } from 'spacedock/testing'
await simulate({ seeds: 2 }, async (simulation) => {
  const [laptop, phone] = [await simulation.device('laptop'), await simulation.device('phone')]
  const { seenByOne } = await simulation.pair(laptop, phone)
  phone.crash()
  await phone.restart()
  console.log(seenByOne.name, (await simulation.until(seenByOne.send('hello'))).status)
})
`

const useRequire = `
const { createNode } = require('spacedock')
const { simulate } = require('spacedock/testing')
console.log(typeof createNode, typeof simulate)
`

const folder = mkdtempSync(join(tmpdir(), 'spacedock-package-'))
try {
  const tarball = pack()
  check('publint finds nothing', () => run('publint', ['run', '--strict', tarball], root))
  check('the types resolve for every kind of importer', () =>
    run('attw', [tarball, '--profile', 'esm-only'], root),
  )
  const app = join(folder, 'app')
  install(app, tarball)
  for (const version of compilers) {
    const compiler = fetchCompiler(version, folder)
    for (const resolution of resolutions) {
      const title = `TypeScript ${version}, moduleResolution ${resolution.moduleResolution}: a typed import compiles`
      check(`${title}, without the types of a browser`, () => compile(app, compiler, resolution))
    }
    check(`TypeScript ${version}: a typed import compiles with the types of a browser, too`, () =>
      compile(app, compiler, {
        module: 'nodenext',
        moduleResolution: 'nodenext',
        lib: 'es2023,dom,dom.iterable',
      }),
    )
    // Before 5.8 the compiler did not know that Node lets CommonJS require ES modules.
    if (version === 'latest') {
      check('TypeScript latest: an import in CommonJS compiles', () =>
        compile(app, compiler, { module: 'nodenext', moduleResolution: 'nodenext', file: 'use.cts' }),
      )
    }
  }
  check('nothing is installed beside it but declarations of types, and that is small', () => {
    const packages = globSync('{*,@*/*}', { cwd: join(app, 'node_modules') }).filter(
      (path) => !path.startsWith('.') && existsSync(join(app, 'node_modules', path, 'package.json')),
    )
    assert.deepEqual(packages.sort(), ['@standard-schema/spec', '@types/node', 'spacedock', 'undici-types'])
    const mebibytes = sizeOf(join(app, 'node_modules/spacedock')) / 2 ** 20
    assert.ok(mebibytes < 10, `${mebibytes.toFixed(1)} MiB`)
  })
  check('it says which packages are inside of it', () => {
    const inside = join(app, 'node_modules/spacedock/dist')
    const { components } = JSON.parse(readFileSync(join(inside, 'sbom.cdx.json'), 'utf8')) as {
      components: { name: string; version: string }[]
    }
    assert.ok(components.some(({ name }) => name === 'libp2p'))
    const notices = readFileSync(join(inside, 'NOTICES.txt'), 'utf8')
    for (const { name, version } of components) assert.ok(notices.includes(`${name} ${version} (`), name)
  })
  const formats = ['esm', 'cjs'] as const
  const bundled = formats.map((format) =>
    bundle(app, join(root, 'node_modules/.bin/esbuild'), {
      file: 'use.mjs',
      place: join(folder, `bundle-${format}`),
      format,
    }),
  )
  for (const [version, node] of [
    [oldestNode, fetchNode(oldestNode)],
    [process.versions.node, process.execPath],
  ] as const) {
    check(`Node ${version}: the command runs`, () => {
      const command = join(app, 'node_modules/spacedock/bin/spacedock.js')
      assert.match(run(node, [command, '--version'], app), /^\d+\.\d+\.\d+$/mu)
      const demo = run(node, [command, 'demo', '--json'], app)
      assert.match(demo, /"event":"paired"/u)
      assert.match(demo, /"event":"delivered"/u)
    })
    check(`Node ${version}: the library runs, and pairs two nodes`, () => {
      assert.match(run(node, [join(app, 'use.mjs')], app), /^paired alice bob$/mu)
    })
    check(`Node ${version}: CommonJS may require the library`, () => {
      assert.equal(run(node, [join(app, 'use.cjs')], app), 'function function\n')
    })
    for (const file of bundled) {
      check(
        `Node ${version}: ${basename(file)}, one file with the library, runs, and pairs two nodes`,
        () => {
          assert.match(run(node, [file], dirname(file)), /^paired alice bob$/mu)
        },
      )
    }
    check(`Node ${version}: the testing kit runs`, () => {
      assert.match(run(node, [join(app, 'use-testing.mjs')], app), /^(?:phone (?:delivered|queued)\n){2}$/u)
    })
  }
  check(`Node ${oldestNode}: sessions over TLS keep to all that they keep to on a newer one`, () => {
    const tests = join(root, 'node_modules/.cache/sessions-over-tls.test.mjs')
    const source = join(root, 'test/network/session/sessions-over-tls.long.test.ts')
    run(
      join(root, 'node_modules/.bin/esbuild'),
      [
        source,
        '--bundle',
        '--platform=node',
        '--format=esm',
        `--target=node${oldestNode}`,
        '--packages=external',
        `--outfile=${tests}`,
      ],
      root,
    )
    run(fetchNode(oldestNode), [tests], root)
  })
  check('what the container and the service run is in the package', () => {
    const [, name = '', ...unitArgs] = unitCommand()
    for (const [command = '', ...args] of [containerCommand(), [name, ...unitArgs]]) {
      const linked = join(app, 'node_modules/.bin', command)
      assert.match(
        run(linked, [...args.slice(0, -1), join(folder, 'data'), '--help'], app),
        /^spacedock rendezvous/mu,
      )
    }
  })
  check(`Node ${tooOldNode} is told in one sentence`, () => {
    const command = join(app, 'node_modules/spacedock/bin/spacedock.js')
    const { status, stderr } = spawnSync(fetchNode(tooOldNode), [command, 'status'], { encoding: 'utf8' })
    assert.equal(status, 1)
    assert.match(stderr, /^spacedock: Node 22\.13 or later is needed, and this is Node 20\.\d+\.\d+\.\n$/u)
  })
  console.log(`${passed} passed, 0 failed`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function check(title: string, verify: () => void): void {
  verify()
  passed++
  console.log(`ok  ${title}`)
}

function pack(): string {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], root)) as {
    filename: string
    files: { path: string }[]
  }[]
  assert.ok(packed)
  const strays = packed.files
    .map(({ path }) => path)
    .filter(
      (path) => !/^(?:bin|dist|docs|examples|packaging)\/|^[A-Z]+(?:\.md)?$|^package\.json$/u.test(path),
    )
    // Of other folders only what README.md and docs/ link to.
    .filter((path) => !['interop/README.md', 'src/api.ts'].includes(path))
  assert.deepEqual(strays, [], 'files that do not belong into the package')
  return join(folder, packed.filename)
}

function install(app: string, tarball: string): void {
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
  run('npm', ['install', '--no-audit', '--no-fund', tarball, '@types/node@22'], app)
  writeFileSync(join(app, 'use.mjs'), useLibrary)
  writeFileSync(join(app, 'use.cjs'), useRequire)
  writeFileSync(join(app, 'use-testing.mjs'), useTesting)
}

/** Bytes of all files in a folder. */
function sizeOf(directory: string): number {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return files.reduce((bytes, { parentPath, name }) => bytes + statSync(join(parentPath, name)).size, 0)
}

function fetchNode(version: string): string {
  const place = join(folder, `node-${version}`)
  const name = `node-${process.platform}-${process.arch}`
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), '{"private":true}')
  run('npm', ['install', '--no-audit', '--no-fund', `${name}@${version}`], place)
  return join(place, 'node_modules', name, 'bin/node')
}

function run(command: string, args: string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
