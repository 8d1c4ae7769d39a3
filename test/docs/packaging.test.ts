import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningProcess } from '../lab/process.ts'
import {
  containerCommand,
  containerInstructions,
  instruction,
  unitCommand,
  unitPath,
  unitSetting,
} from '../package/packaging.ts'

interface Package {
  bin: Record<string, string>
  scripts: Record<string, string>
  engines: { node: string }
  files: string[]
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const { bin, scripts, engines, files } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as Package
const entryPoint = join(root, 'bin/spacedock.js')

test('the container builds and installs the package with scripts and paths that there are', () => {
  const [stage, image] = containerInstructions().filter(({ name }) => name === 'FROM')
  assert.ok(stage && image)
  const least = Number(/\d+/u.exec(engines.node)?.[0])
  for (const { text } of [stage, image]) {
    assert.ok(Number(/node:(\d+)-slim/u.exec(text)?.[1]) >= least, `${text} is Node ${least} or later`)
  }
  const [, stageName = ''] = / AS (\S+)$/u.exec(stage.text) ?? []
  const commands = containerInstructions().flatMap(({ name, text }) =>
    name === 'RUN' ? text.split(' && ') : [],
  )
  for (const [, script = ''] of commands.join('\n').matchAll(/npm run ([\w:]+)/gu))
    assert.ok(scripts[script], script)
  // npm writes into a directory and does not make one.
  const pack = commands.findIndex((command) => command.startsWith('npm pack'))
  const destination = /--pack-destination (\S+)/u.exec(commands[pack] ?? '')?.[1]
  assert.ok(commands.slice(0, pack).includes(`mkdir ${destination}`))
  const copied = containerInstructions().find(({ text }) => text.startsWith('--from='))?.text
  assert.equal(copied, `--from=${stageName} ${destination}/*.tgz /tmp/`)
  assert.ok(commands.some((command) => /^npm install --global .*\/tmp\/\*\.tgz$/u.test(command)))
  assert.ok(existsSync(join(root, '.dockerignore')), 'nothing that was built here gets into the image')
})

test('the container and the service run a command that the package has, on the port and in the directory that they say', () => {
  const [containerBin = '', ...containerArgs] = containerCommand()
  const [env = '', unitBin = '', ...unitArgs] = unitCommand()
  assert.equal(env, '/usr/bin/env')
  for (const name of [containerBin, unitBin]) {
    assert.ok(bin[name] && existsSync(join(root, bin[name])), name)
    assert.ok(
      files.some((packed) => bin[name]?.startsWith(`${packed}/`)),
      'it is packed',
    )
  }
  assert.equal(containerArgs.at(-1), instruction('VOLUME'))
  assert.ok(unitArgs.at(-1) === `%S/${unitSetting('StateDirectory')}`)
  for (const args of [containerArgs, unitArgs]) assert.deepEqual(args.slice(0, -1), ['rendezvous', '--dir'])
  const { stdout } = spawnSync(process.execPath, [entryPoint, 'rendezvous', '--help'], { encoding: 'utf8' })
  assert.match(stdout, new RegExp(`TCP port to listen on \\(${instruction('EXPOSE').split('/')[0]}\\)`, 'u'))
  assert.match(stdout, /--announce/u, 'what its comments tell people to add')
})

test('what they run listens, and ends in order at their stop signal', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'spacedock-packaging-'))
  const loopback = process.platform === 'darwin' ? 'lo0' : 'lo'
  // As in both, but for the directory, and a port that is free here.
  const args = [...containerCommand().slice(1, -1), dataDir]
  const options = ['--port', '0', '--interface', loopback, '--json']
  const running = new RunningProcess([process.execPath, entryPoint, ...args, ...options])
  try {
    await running.line((line) => line.includes('"listening"'))
    assert.equal(instruction('STOPSIGNAL'), 'SIGTERM')
    running.kill('SIGTERM')
    const { code } = await running.finished()
    assert.equal(code, 0)
  } finally {
    await running.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

test(
  'systemd finds nothing wrong with the unit',
  { skip: !hasSystemd && 'systemd-analyze is not here' },
  () => {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unitPath], {
      encoding: 'utf8',
    })
    const about = stderr.split('\n').filter((line) => line.includes('spacedock-rendezvous'))
    assert.deepEqual([status, about], [0, []])
  },
)
