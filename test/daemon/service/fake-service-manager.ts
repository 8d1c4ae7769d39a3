import { spawn } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseExecStart } from './unit-file.ts'

/**
 * Stands in for `systemctl` on the PATH: keeps one line per call in $FAKE_STATE/calls, and really starts and stops what a unit
 * says. $FAKE_STATE/fail holds a word; a call that has it fails.
 */
const state = process.env['FAKE_STATE'] ?? ''
const args = process.argv.slice(2)
appendFileSync(join(state, 'calls'), `${args.join(' ')}\n`)

const failing = join(state, 'fail')
if (existsSync(failing) && args.includes(readFileSync(failing, 'utf8'))) {
  process.stderr.write('Failed to do it: the fake refuses.\n')
  process.exit(1)
}

const [, verb = '', ...rest] = args
const unit = rest.at(-1) ?? ''
const pidFile = join(state, `${unit}.pid`)
switch (verb) {
  case 'is-active':
    process.exitCode = running() === null ? 3 : 0
    break
  case 'restart':
    await stop()
    start()
    break
  case 'disable':
    await stop()
    break
}

function start(): void {
  const path = join(process.env['XDG_CONFIG_HOME'] ?? '', 'systemd/user', unit)
  const [program = '', ...programArgs] = parseExecStart(readFileSync(path, 'utf8'), {})
  const journal = openSync(join(state, 'journal'), 'a')
  const child = spawn(program, programArgs, { detached: true, stdio: ['ignore', journal, journal] })
  writeFileSync(pidFile, String(child.pid))
  closeSync(journal)
  child.unref()
}

async function stop(): Promise<void> {
  const pid = running()
  if (pid !== null) process.kill(pid, 'SIGTERM')
  while (running() !== null) await new Promise((resume) => void setTimeout(resume, 10))
  rmSync(pidFile, { force: true })
}

function running(): number | null {
  if (!existsSync(pidFile)) return null
  const pid = Number(readFileSync(pidFile, 'utf8'))
  try {
    process.kill(pid, 0)
    return /^State:\s*Z/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? null : pid
  } catch {
    return null
  }
}
