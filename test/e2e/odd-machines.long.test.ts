import assert from 'node:assert/strict'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { localPlace } from '../device.ts'
import { runProcess, type Finished } from '../lab/process.ts'

/** The real command where a system is not what it usually is. */

const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))
const loopback = localPlace().interfaces?.[0] ?? 'lo'
const isRoot = process.platform === 'linux' && process.getuid?.() === 0

const numberOnly = 45_678

test(
  'a user who is only a number, as in a container, has a device',
  { skip: !isRoot, timeout: 600_000 },
  async (t) => {
    const home = await temporaryDirectory(t, numberOnly)
    for (const env of [{ HOME: home }, { HOME: undefined, SPACEDOCK_DIR: join(home, 'chosen') }]) {
      const run = async (...args: string[]): Promise<Finished> =>
        runProcess(
          [
            'setpriv',
            `--reuid=${numberOnly}`,
            `--regid=${numberOnly}`,
            '--clear-groups',
            process.execPath,
            entryPoint,
            ...args,
          ],
          {
            env: { SPACEDOCK_DIR: undefined, XDG_DATA_HOME: undefined, ...env },
            cwd: '/',
            deadlineMs: 60_000,
          },
        )
      assert.equal((await run('--version')).code, 0)
      const up = await run('up', '--interface', loopback)
      assert.equal(up.code, 0, up.stderr)
      assert.equal((await run('devices')).code, 0)
      assert.equal((await run('down')).code, 0)
    }
  },
)

test(
  'a runtime directory that is wiped at logout takes nobody the daemon',
  { timeout: 600_000, skip: process.platform === 'win32' },
  async (t) => {
    const runtime = await temporaryDirectory(t)
    const dataDir = join(await temporaryDirectory(t), 'd'.repeat(120))
    const run = async (env: Record<string, string>, ...args: string[]): Promise<Finished> =>
      runProcess([process.execPath, entryPoint, '--dir', dataDir, ...args], { env, deadlineMs: 60_000 })
    const loggedIn = { XDG_RUNTIME_DIR: runtime, TMPDIR: await temporaryDirectory(t) }
    const up = await run(loggedIn, 'up', '--json', '--interface', loopback)
    assert.equal(up.code, 0, up.stderr)
    const { pid } = JSON.parse(up.stdout) as { pid: number }
    await rm(runtime, { recursive: true })
    let status = await run(loggedIn, 'status', '--json')
    while (status.code !== 0) status = await run(loggedIn, 'status', '--json')
    assert.equal((JSON.parse(status.stdout) as { pid: number }).pid, pid)
    assert.equal((await run({}, 'down')).code, 0)
  },
)

async function temporaryDirectory(t: TestContext, owner?: number): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'spacedock-odd-'))
  if (owner !== undefined) await chown(directory, owner, owner)
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}
