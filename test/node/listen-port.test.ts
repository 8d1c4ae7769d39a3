import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { SpacedockNode } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import { createHost } from '../../src/network/host/create-host.ts'
import { checkPort, chooseRandomPort, defaultListenPort } from '../../src/network/transport/listen-port.ts'
import { createNode } from '../../src/node.ts'
import { withPort } from '../../src/node/own-settings.ts'
import { openMemoryStore } from '../../src/store/store.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

const lo = [process.platform === 'darwin' ? 'lo0' : 'lo']
const log = (): void => undefined
const taken = new SpacedockError('port-taken', 'Port 1 is in use by another program.')

test('several devices start on one machine at the same moment: each has a port of its own, and keeps it', async () => {
  const directories = await Promise.all(
    Array.from({ length: 4 }, async () => mkdtemp(join(tmpdir(), 'spacedock-port-'))),
  )
  const ports = async (): Promise<(string | undefined)[]> => {
    const nodes = await Promise.all(directories.map(start))
    const found = nodes.map(
      (node) => /\/tcp\/(?<port>\d+)/u.exec(node.status().listen[0] ?? '')?.groups?.['port'],
    )
    await Promise.all(nodes.map((node) => node.close()))
    return found
  }
  try {
    const first = await ports()
    assert.equal(new Set(first).size, 4, String(first))
    assert.deepEqual(await ports(), first, 'after a restart')
  } finally {
    await Promise.all(directories.map(async (directory) => rm(directory, { recursive: true })))
  }
})

test('the usual port first, then random ones; what was listened on is kept', async () => {
  const { settings } = openMemoryStore({ clock: virtualClock() })
  const asked: number[] = []
  const listen = async (port: number): Promise<string> => {
    asked.push(port)
    if (asked.length < 3) throw taken
    return 'host'
  }
  assert.equal(await withPort(settings, { given: undefined, isLocal: false, log }, listen), 'host')
  // Another program of this machine may have the usual one just now.
  if ((await checkPort(defaultListenPort, '0.0.0.0')) === 'free') assert.equal(asked[0], defaultListenPort)
  assert.equal(new Set(asked).size, 3)
  assert.equal(settings.get().port, asked[2])
})

test('a device that only its own machine reaches leaves the usual port to others', async () => {
  const { settings } = openMemoryStore({ clock: virtualClock() })
  const port = await withPort(settings, { given: undefined, isLocal: true, log }, asGiven)
  assert.notEqual(port, defaultListenPort)
  assert.equal(await withPort(settings, { given: undefined, isLocal: false, log }, asGiven), port)
})

test('a port that was asked for is the only one, and one that is taken for ever is an error', async () => {
  const { settings } = openMemoryStore({ clock: virtualClock() })
  const asked: number[] = []
  const listen = async (port: number): Promise<never> => {
    asked.push(port)
    throw taken
  }
  await assert.rejects(withPort(settings, { given: 4_001, isLocal: false, log }, listen), taken)
  assert.deepEqual(asked, [4_001])
  await assert.rejects(withPort(settings, { given: undefined, isLocal: false, log }, listen), taken)
  assert.equal(asked.length, 6)
  assert.equal(settings.get().port, null)
})

test('a port that another program takes between the look and the listening is told as taken', async () => {
  const port = await chooseRandomPort()
  const hosts = await Promise.allSettled(
    [1, 2, 3].map(async (byte) =>
      createHost({ seed: new Uint8Array(32).fill(byte), port, interfaces: lo, agent: 'test' }),
    ),
  )
  const up = hosts.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const errors = hosts.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as SpacedockError] : [],
  )
  await Promise.all(up.map(async (host) => host.stop()))
  assert.equal(up.length, 1)
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['port-taken', 'port-taken'],
  )
})

test('the kept port is another one for a run in which it is taken, and comes back', async () => {
  const { settings } = openMemoryStore({ clock: virtualClock() })
  const port = await chooseRandomPort()
  settings.update({ port })

  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(port, '0.0.0.0', resolve))
  try {
    assert.notEqual(await withPort(settings, { given: undefined, isLocal: false, log }, asGiven), port)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
  assert.equal(settings.get().port, port)
  assert.equal(await withPort(settings, { given: undefined, isLocal: false, log }, asGiven), port)
})

async function start(dataDir: string): Promise<SpacedockNode> {
  return createNode({ dataDir, interfaces: lo, mdns: false })
}

async function asGiven(port: number): Promise<number> {
  return port
}
