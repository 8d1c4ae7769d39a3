import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { Setting } from './jobs/job.ts'
import { residentMib } from './memory.ts'
import { host } from './subjects/subject.ts'

/** Syncthing with a directory of its own, from its start until it says that it is up, and its memory a while later. */
export async function syncthing({ sizes, signal }: Setting, directory: string) {
  const startedAt = performance.now()
  const args = [
    'serve',
    '--no-browser',
    '--no-restart',
    '--no-upgrade',
    '--no-default-folder',
    `--home=${directory}`,
  ]
  // By itself it starts a second process, and that one would be measured.
  const child = spawn('syncthing', [...args, `--gui-address=${host}:0`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOME: directory, STMONITORED: 'yes' },
    signal,
  })
  // Told of by its end.
  child.on('error', () => {})
  const gone = once(child, 'exit')
  try {
    await Promise.race([
      untilItSays(createInterface(child.stdout), /GUI and API listening/u),
      gone.then(() => Promise.reject(new Error('it ended too soon'))),
    ])
    const start = performance.now() - startedAt
    await pause(sizes.idleMs, undefined, { signal })
    return { start, 'idle-memory': residentMib(child.pid ?? 0) }
  } finally {
    child.kill()
    await gone
  }
}

async function untilItSays(lines: AsyncIterable<string>, wanted: RegExp): Promise<void> {
  for await (const line of lines) if (wanted.test(line)) return
  throw new Error('it did not say that it is up')
}
