import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { createNode } from '../../src/node.ts'
import { device, localPlace, type TestDevice } from '../device.ts'
import { RunningProcess } from '../lab/process.ts'
import {
  asCommand,
  entryPoint,
  inBothForms,
  newDirectory,
  onLoopback,
  type Outcome,
  type Situations,
  spacedock,
} from './situation.ts'

/** The daemon is not there, not the right one, or goes away. */

export const daemonSituations: Situations = {
  '`down` while no daemon runs': {
    forms: inBothForms,
    provoke: async (form) => spacedock(['down'], { form, dataDir: await newDirectory('none') }),
  },
  '`--no-start` while no daemon runs': {
    forms: inBothForms,
    provoke: async (form) =>
      spacedock(['devices', '--no-start'], { form, dataDir: await newDirectory('none') }),
  },
  'the daemon is of another version': {
    provoke: async (form) => {
      const dataDir = await newDirectory()
      await spacedock(['up', ...onLoopback], { form, dataDir, env: olderVersion })
      try {
        return await spacedock(['devices'], { form, dataDir })
      } finally {
        await spacedock(['down'], { form, dataDir })
      }
    },
  },
  '`up --foreground` while a daemon runs': {
    provoke: async (form) =>
      withDaemon(async ({ dataDir }) => spacedock(['up', '--foreground', ...onLoopback], { form, dataDir })),
  },
  'another program uses the data directory': {
    provoke: async (form) => {
      const dataDir = await newDirectory()
      await using node = await createNode({ dataDir, interfaces: [...(localPlace().interfaces ?? [])] })
      assert.notEqual(node.id, '')
      return await spacedock(['devices', ...onLoopback], { form, dataDir })
    },
  },
  'the daemon does not answer': {
    provoke: async (form) =>
      withDaemon(async (one) => {
        const { pid = 0 } = await one.status()
        process.kill(pid, 'SIGSTOP')
        try {
          return await spacedock(['status'], { form, dataDir: one.dataDir })
        } finally {
          process.kill(pid, 'SIGCONT')
        }
      }),
  },
  'the daemon is stopped during a command': {
    provoke: async () =>
      withDaemon(async (one) => {
        const pairing = await startPairing(one)
        await one.down()
        return asCommand(await pairing.finished())
      }),
  },
  'the daemon is killed during a command': {
    provoke: async () =>
      withDaemon(async (one) => {
        const pairing = await startPairing(one)
        await one.kill9()
        return asCommand(await pairing.finished())
      }),
  },
  'the daemon cannot take another connection': {
    provoke: async (form) =>
      withDaemon(async ({ dataDir }) => {
        const idle = Array.from({ length: 300 }, () => connect(join(dataDir, 'daemon.sock')))
        try {
          await Promise.race(idle.map((socket) => once(socket, 'close'))) // those that are too many
          return await spacedock(['devices'], { form, dataDir })
        } finally {
          for (const socket of idle) socket.destroy()
        }
      }),
  },
  '`service install` where there is no systemd': {
    obstacle: whyNoServices,
    forms: inBothForms,
    provoke: async (form) => {
      const env = { PATH: await newDirectory() }
      return spacedock(['service', 'install'], { form, env, dataDir: await newDirectory('none') })
    },
  },
  '`service install` where systemd cannot be reached': {
    obstacle: whyNoServices,
    forms: inBothForms,
    provoke: async (form) => {
      const env = await withSystemctl('exit 1')
      return spacedock(['service', 'install'], { form, env, dataDir: await newDirectory('none') })
    },
  },
  '`service remove` where systemd cannot be reached': {
    obstacle: whyNoServices,
    provoke: async (form) => {
      const env = await withSystemctl('exit 1')
      const dataDir = await newDirectory('none')
      const shown = await spacedock(['service', 'install', '--print'], { form: 'json', env, dataDir })
      assert.ok(shown.kind === 'command')
      const { path } = JSON.parse(shown.stdout) as { path: string }
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, '')
      return spacedock(['service', 'remove'], { form, env, dataDir })
    },
  },
  '`service install`, and its daemon does not come up': {
    obstacle: whyNoServices,
    provoke: async (form) => {
      const env = await withSystemctl('exit 0')
      return spacedock(['service', 'install'], { form, env, dataDir: await newDirectory('none') })
    },
  },
  '`service install`, and systemd refuses': {
    obstacle: whyNoServices,
    provoke: async (form) => {
      const script = '[ "$2" = show ] && exit 0\necho "Failed to reload: Access denied" >&2\nexit 1'
      const env = await withSystemctl(script)
      return spacedock(['service', 'install'], { form, env, dataDir: await newDirectory('none') })
    },
  },
  'something else than a daemon answers': {
    provoke: async (form) => {
      const dataDir = await newDirectory()
      const server = createServer((socket) => socket.end('{"greeting":"hello"}\n'))
      await new Promise<void>((resolve) => void server.listen(join(dataDir, 'daemon.sock'), resolve))
      try {
        return await spacedock(['devices'], { form, dataDir })
      } finally {
        server.close()
      }
    },
  },
}

/** An environment in which a script stands for systemd, and units are kept in a directory of its own. */
async function withSystemctl(script: string): Promise<Record<string, string>> {
  const home = await newDirectory()
  await writeFile(join(home, 'systemctl'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return { PATH: home, XDG_CONFIG_HOME: home }
}

async function whyNoServices(): Promise<string | false> {
  return process.platform === 'linux' ? false : 'systemd is for Linux'
}

/** Makes a process believe that it is an older program. */
const olderVersion = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module'
    const source = "export const version = '0.0.1'"
    registerHooks({
      load: (url, context, next) =>
        url.endsWith('/src/version.ts') ? { format: 'module', source, shortCircuit: true } : next(url, context),
    })`)}`,
}

export async function withDaemon(work: (one: TestDevice) => Promise<Outcome>): Promise<Outcome> {
  await using one = await device(localPlace(), { name: 'one' })
  await one.up()
  return await work(one)
}

async function startPairing({ dataDir }: TestDevice): Promise<RunningProcess> {
  const command = [process.execPath, entryPoint, '--dir', dataDir, '--json', 'pair', '--yes']
  const pairing = new RunningProcess(command, { env: { SPACEDOCK_DIR: undefined } })
  await pairing.line((line) => line.includes('"event":"code"'))
  return pairing
}
