import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installMissing } from '../../test/lab/requirements.ts'

const run = promisify(execFile)

/** Version of `@number0/iroh` whose API `subjects/iroh.ts` uses. */
export const irohPackage = '@number0/iroh@1'

/** Debian's packages of the neighbours that are programs, by a command of each. */
const programs: Record<string, { command: string; packages: Record<string, string> }> = {
  scp: { command: 'sshd', packages: { sshd: 'openssh-server', scp: 'openssh-client' } },
  syncthing: { command: 'syncthing', packages: { syncthing: 'syncthing' } },
}

/**
 * Makes the neighbours ready, and says of each that is not why. With `--neighbours` what is missing is installed: packages of npm into
 * this folder, which goes with the run, those of Debian by apt-get, as root; without, what is there is used.
 */
export async function readyNeighbours(folder: string, install: boolean): Promise<Record<string, string>> {
  const missing: Record<string, string> = {}
  const iroh = install ? await installIroh(folder) : 'npm run bench -- --neighbours installs it for the run'
  if (iroh !== null) missing['iroh'] = iroh
  for (const [name, { command, packages }] of Object.entries(programs)) {
    if (await isThere(command)) continue
    const left = install ? await installMissing(packages, 'The benchmark') : Object.values(packages)
    if (left.length > 0)
      missing[name] = `${left.join(', ')} is not installed; --neighbours does it with apt-get, as root`
  }
  return missing
}

/** Returns why not. */
async function installIroh(folder: string): Promise<string | null> {
  const place = join(folder, 'neighbours')
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), '{ "private": true }')
  try {
    await run('npm', ['install', '--no-audit', '--no-fund', irohPackage], { cwd: place })
    process.env['BENCH_NEIGHBOURS'] = place
    return null
  } catch (error) {
    return `npm does not install it here: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`
  }
}

async function isThere(command: string): Promise<boolean> {
  // Servers are not on everybody's path.
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` }
  return run('sh', ['-c', `command -v ${command}`], { env }).then(
    () => true,
    () => false,
  )
}
