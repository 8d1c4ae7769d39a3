import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningProcess } from '../lab/process.ts'

const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))
const lo = process.platform === 'darwin' ? 'lo0' : 'lo'

test('a rendezvous node prints its address, keeps it over a restart, and ends in order on SIGTERM', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-'))
  context.after(() => rm(dataDir, { recursive: true, force: true }))
  const first = start(dataDir, '0')
  context.after(() => first.stop())
  const peerIds = [(await listening(first)).peerId]
  const secrets = new Set<string>()

  const second = start(dataDir, '0')
  const refused = await second.finished()
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /"code":"already-running"/u)

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const running = signal === 'SIGTERM' ? first : start(dataDir, '0')
    const { peerId, addresses } = await listening(running)
    peerIds.push(peerId)
    for (const address of addresses) {
      assert.match(address, new RegExp(`/p2p/${peerId}#[\\w-]{22}$`, 'u'))
      secrets.add(address.split('#')[1] ?? '')
    }
    running.kill(signal)
    const { code } = await running.finished(60_000)
    assert.equal(code, signal === 'SIGTERM' ? 0 : null)
  }
  const last = start(dataDir, '0')
  peerIds.push((await listening(last)).peerId)
  await last.stop()
  assert.equal(new Set(peerIds).size, 1)
  assert.equal(secrets.size, 1, 'the secret of the relay stays the same, too')
  for (const secret of secrets) assert.ok(!`${first.stderr}${last.stderr}`.includes(secret))
})

test('an address that cannot be announced, or is nobody’s, is refused with a hint', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-'))
  context.after(() => rm(dataDir, { recursive: true, force: true }))
  for (const option of ['--announce=meet.example.org', '--rendezvous=/ip4/203.0.113.5/tcp/4111']) {
    const { code, stderr } = await start(dataDir, '0', option).finished()
    assert.equal(code, 2, stderr)
    assert.match(stderr, /"code":"invalid-argument"/u)
    assert.match(stderr, /"hint":"It looks like /u)
  }
})

test('an open relay has no secret, and one for certain devices names them', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-'))
  context.after(() => rm(dataDir, { recursive: true, force: true }))
  const open = start(dataDir, '0', '--open')
  context.after(() => open.stop())
  const { peerId, addresses } = await listening(open)
  assert.ok(addresses.every((address) => address.endsWith(`/p2p/${peerId}`)))
  await open.stop()
  for (const options of [
    ['--only', 'nobody'],
    ['--open', '--only', peerId],
  ]) {
    const { code, stderr } = await start(dataDir, '0', ...options).finished()
    assert.equal(code, 2, stderr)
    assert.match(stderr, /"code":"invalid-argument"/u)
  }
})

test('a node that is no relay says so, and prints no secret', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-'))
  context.after(() => rm(dataDir, { recursive: true, force: true }))
  const args = ['rendezvous', '--dir', dataDir, '--interface', lo, '--port', '0', '--max-devices', '0']
  const node = new RunningProcess([process.execPath, entryPoint, ...args])
  context.after(() => node.stop())
  await node.line((text) => text.startsWith('It is no relay'))
  assert.match(node.stdout, /--rendezvous \/\S+\/p2p\/\w+\n/u)
  assert.ok(!node.stdout.includes('#'))
  await node.stop()
  for (const option of ['--open', '--only=12D3KooWNbp5pFHHvDQiAVWNn1ZN6wJGXuMdPJYYiCUbqKZ6Qe2f']) {
    const { code, stderr } = await start(dataDir, '0', '--max-devices=0', option).finished()
    assert.equal(code, 2, stderr)
    assert.match(stderr, /there is no relay/u)
  }
})

function start(dataDir: string, port: string, ...more: string[]): RunningProcess {
  const options = ['--json', '--dir', dataDir, '--interface', lo, '--port', port, ...more]
  return new RunningProcess([process.execPath, entryPoint, 'rendezvous', ...options])
}

async function listening(running: RunningProcess): Promise<{ peerId: string; addresses: string[] }> {
  const line = await running.line((text) => text.includes('"listening"'))
  return JSON.parse(line) as { peerId: string; addresses: string[] }
}
