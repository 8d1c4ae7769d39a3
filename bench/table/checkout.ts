import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Builds the package of a checkout: what people install is what is measured. */
export function build(checkout: string): void {
  execFileSync(process.execPath, ['tools/build.ts'], {
    cwd: checkout,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** The command as people install it: in a checkout it runs the source. */
export function installed(checkout: string): string {
  const known = installations.get(checkout)
  if (known !== undefined) return known
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(checkout, part), join(directory, part), { recursive: true })
  installations.set(checkout, directory)
  return directory
}

const installations = new Map<string, string>()

/** Another commit in a worktree of its own in this folder, built with the dependencies that are installed here. */
export function checkoutOf(root: string, commit: string, folder: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  const hash = git('rev-parse', '--verify', `${commit}^{commit}`)
  const directory = join(folder, 'checkout')
  // Those of runs whose folders are gone.
  git('worktree', 'prune')
  git('worktree', 'add', '--detach', directory, hash)
  process.once('exit', () => git('worktree', 'remove', '--force', directory))
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  if (git('diff', '--stat', hash, '--', 'package-lock.json') !== '') {
    console.log(`${commit} is built with the dependencies of this checkout, which are not its own.`)
  }
  build(directory)
  return directory
}
