import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Command } from '../command.ts'
import { residentMib } from '../memory.ts'
import { host, loopback } from '../subjects/subject.ts'
import { syncthing } from '../syncthing.ts'
import type { Job, Setting } from './job.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Programs of a few lines, as an application begins; each has LIBRARY and DIRECTORY. */
const programs: Record<string, string> = {
  node: '',
  libp2p: `
    import { createLibp2p } from 'libp2p'
    import { tcp } from '@libp2p/tcp'
    import { noise } from '@libp2p/noise'
    import { yamux } from '@libp2p/yamux'
    await createLibp2p({ addresses: { listen: ['/ip4/${host}/tcp/0'] }, transports: [tcp()],
      connectionEncrypters: [noise()], streamMuxers: [yamux()] })`,
  hyperdht: `
    import DHT from 'hyperdht'
    const node = new DHT({ bootstrap: [], host: '${host}' })
    await node.fullyBootstrapped()
    await node.createServer(() => {}).listen()`,
  iroh: `
    import { createRequire } from 'node:module'
    const { Endpoint, RelayMode } = createRequire(process.env.BENCH_NEIGHBOURS + '/package.json')('@number0/iroh')
    const builder = Endpoint.builder()
    builder.applyMinimal()
    builder.relayMode(RelayMode.disabled())
    builder.bindAddr('${host}:0')
    globalThis.endpoint = await builder.bind()`,
  'spacedock-library': `
    const { createNode } = await import(process.env.LIBRARY)
    await createNode({ dataDir: process.env.DIRECTORY, name: 'bench', interfaces: ['${loopback}'], mdns: false })`,
}

/** From the start of the process until it is ready, and its memory a while later. */
export const start: Job = {
  rows: ['start', 'idle-memory'],
  subjects: ['node', 'libp2p', 'hyperdht', 'iroh', 'syncthing', 'spacedock-library', 'spacedock-daemon'],
  run: async (subject, setting) => {
    const directory = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
    try {
      if (subject === 'syncthing') return await syncthing(setting, directory)
      return await (subject === 'spacedock-daemon'
        ? daemon(setting, directory)
        : program(programs[subject] ?? '', setting, directory))
    } finally {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    }
  },
}

async function program(text: string, { checkout, sizes, signal }: Setting, directory: string) {
  const whole = `${text}\nprocess.send('ready'); setInterval(() => {}, 1e6); process.once('disconnect', () => process.exit())`
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', whole],
    {
      cwd: root,
      env: {
        ...process.env,
        LIBRARY: pathToFileURL(join(checkout, 'dist/index.js')).href,
        DIRECTORY: directory,
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      signal,
    },
  )
  // Told of by its end.
  child.on('error', () => {})
  const gone = once(child, 'exit')
  await Promise.race([
    once(child, 'message'),
    gone.then(() => Promise.reject(new Error('it ended too soon'))),
  ])
  const start = performance.now() - startedAt
  await pause(sizes.idleMs, undefined, { signal })
  const memory = residentMib(child.pid ?? 0)
  child.disconnect()
  await gone
  return { start, 'idle-memory': memory }
}

async function daemon({ checkout, sizes, signal }: Setting, directory: string) {
  await using command = new Command(checkout, directory)
  const startedAt = performance.now()
  await command.up()
  const start = performance.now() - startedAt
  await pause(sizes.idleMs, undefined, { signal })
  return { start, 'idle-memory': residentMib(await command.daemonPid()) }
}
