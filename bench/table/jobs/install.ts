import { execFile } from 'node:child_process'
import { globSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { irohPackage } from '../neighbours.ts'
import type { Job } from './job.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Packages of a neighbour, in the versions that this repository is developed with. */
const neighbours: Record<string, string[]> = {
  libp2p: ['libp2p', '@libp2p/tcp', '@libp2p/noise', '@libp2p/yamux'],
  hyperswarm: ['hyperswarm', 'blind-pairing'],
}

/** What `npm install` puts into an empty folder: MiB of its files, and packages. Needs a package registry. */
export const install: Job = {
  rows: ['install-size', 'install-packages'],
  subjects: ['libp2p', 'hyperswarm', 'iroh', 'spacedock-package'],
  mostRounds: 1,
  run: async (subject, { checkout }) => {
    const directory = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
    try {
      const wanted = await packagesOf(subject, checkout, directory)
      writeFileSync(join(directory, 'package.json'), '{ "private": true }')
      await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', ...wanted], {
        cwd: directory,
      })
      const folder = join(directory, 'node_modules')
      const lock = JSON.parse(readFileSync(join(folder, '.package-lock.json'), 'utf8')) as {
        packages: object
      }
      return { 'install-size': mebibytes(folder), 'install-packages': Object.keys(lock.packages).length }
    } finally {
      rmSync(directory, { recursive: true })
    }
  },
}

async function packagesOf(subject: string, checkout: string, directory: string): Promise<string[]> {
  if (subject === 'iroh') return [irohPackage]
  return neighbours[subject]?.map(ofThisRepository) ?? [await pack(checkout, directory)]
}

function ofThisRepository(name: string): string {
  const found = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string
  }
  return `${name}@${found.version}`
}

async function pack(checkout: string, directory: string): Promise<string> {
  // It is built already.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], {
    cwd: checkout,
  })
  return join(directory, stdout.trim().split('\n').at(-1) ?? '')
}

function mebibytes(folder: string): number {
  let bytes = 0
  for (const name of globSync('**', { cwd: folder })) {
    const found = lstatSync(join(folder, name))
    if (found.isFile()) bytes += found.size
  }
  return bytes / 2 ** 20
}
