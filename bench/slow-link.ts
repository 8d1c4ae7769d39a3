import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { createNode, defineProtocol, defineStream, type Device } from '../src/index.ts'

/**
 * What a small request takes while a stream, several, or large requests fill a slow link: 10 Mbit/s, in a network namespace of its
 * own. Linux as root only.
 *
 *     npm run bench:link [-- MBIT_A_SECOND]
 */
const megabits = Number(process.argv[2] ?? 10)
if (process.argv[3] !== 'inside') {
  const again = [fileURLToPath(import.meta.url), String(megabits), 'inside']
  const { status } = spawnSync('unshare', ['-n', process.execPath, ...process.execArgv, ...again], {
    stdio: 'inherit',
  })
  process.exit(status ?? 1)
}
execFileSync('ip', ['link', 'set', 'lo', 'mtu', '1500', 'up'])
execFileSync('tc', `qdisc add dev lo root tbf rate ${megabits}mbit burst 16kb limit 4mb`.split(' '))

const sink = defineStream({ name: 'sink', version: 1, request: v.null() })
const echo = defineProtocol({ name: 'echo', version: 1, request: v.string(), response: v.number() })
const directory = await mkdtemp(join(tmpdir(), 'spacedock-bench-'))
const start = (name: string) =>
  createNode({ dataDir: join(directory, name), name, interfaces: ['lo'], mdns: false })
const [alice, bob] = [await start('alice'), await start('bob')]
bob.handle({ ...echo, handler: (text) => text.length })
bob.handle({
  ...sink,
  handler: async (_request, { readable }) => {
    for await (const chunk of readable) void chunk
  },
})
const invitation = await alice.pair()
await bob.join(invitation.words, { peers: alice.status().listen })
const device = await invitation.paired

const idleMs = await median(device, 50)
console.log(`${megabits} Mbit/s; a small request takes ${idleMs.toFixed(1)} ms when nothing else is sent`)
await under('one stream', 1, () => pour(device))
await under('four streams', 4, () => pour(device))
await under('eight requests of 1 MB', 8, () =>
  device.request(echo, 'x'.repeat(1_000_000), { timeoutMs: 120_000 }),
)
await Promise.all([alice.close(), bob.close()])
await rm(directory, { recursive: true, force: true })
process.exit()

async function under(what: string, count: number, load: () => Promise<unknown>): Promise<void> {
  const over = new AbortController()
  const keepOn = async (): Promise<void> => {
    while (!over.signal.aborted) await load()
  }
  const loads = Array.from({ length: count }, keepOn)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const before = alice.metrics().bytes.sent
  const startedAt = performance.now()
  const busyMs = await median(device, 100)
  const bytesPerMs = (alice.metrics().bytes.sent - before) / (performance.now() - startedAt)
  const share = (bytesPerMs * 8_000) / (megabits * 1_000_000)
  const frames = ((busyMs - idleMs) * megabits * 125) / (64 * 1024)
  console.log(
    `${what}: ${busyMs.toFixed(0)} ms, the time of ${frames.toFixed(1)} frames of 64 KiB; ${share.toFixed(2)} of the link is used`,
  )
  over.abort()
  await Promise.allSettled(loads)
}

async function pour(to: Device): Promise<void> {
  const { writable } = await to.openStream(sink, null)
  const writer = writable.getWriter()
  for (let sent = 0; sent < 4_000_000; sent += 50_000) await writer.write(new Uint8Array(50_000))
  await writer.close()
}

async function median(to: Device, count: number): Promise<number> {
  const times: number[] = []
  for (let number = 0; number < count; number++) {
    const startedAt = performance.now()
    await to.request(echo, 'x')
    times.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return times.toSorted((one, other) => one - other)[Math.floor(count / 2)] ?? 0
}
