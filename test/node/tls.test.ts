import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { test } from 'node:test'
import * as v from 'valibot'
import type { NodeOptions, SpacedockNode } from '../../src/api.ts'
import { defineStream } from '../../src/index.ts'
import { createHost } from '../../src/network/host/create-host.ts'
import { startNode } from '../../src/node.ts'
import { PeersOfNode } from '../../src/node/peers-of-node.ts'
import { thisPlatform } from '../../src/node/platform.ts'
import { until } from '../network/real-hosts.ts'
import { nextEvent, TestNodes } from './nodes.ts'

test('two devices talk over TLS from their first session on, and after a restart whoever dials', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob', { dataDir })])
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const device = await invitation.paired
  await device.ping()
  await until(() => sum(alice) === 1 && sum(bob) === 1, 'the first session')
  for (const node of [alice, bob]) assert.deepEqual(encryption(node), { tls: 1, noise: 0, noiseForTls: 0 })
  assert.equal(device.path, 'direct')
  assert.equal(alice.metrics().sessions.overTls, 1)
  assert.equal((await device.send('x'.repeat(200_000))).status, 'delivered')

  await bob.close()
  const back = nextEvent(alice, 'device:connected')
  const again = await nodes.make('bob', { dataDir })
  await back
  await until(() => sum(alice) > 1 && sum(again) > 0, 'the second session')
  assert.equal(encryption(alice).noise + encryption(again).noise, 0)
  assert.match(device.address ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/u)
})

test('a megabyte comes whole over a byte stream', async () => {
  await using nodes = new TestNodes()
  const { alice, bobAtAlice, bob } = await nodes.pair()
  const file = { name: 'file', version: 1, request: v.null() }
  const bytes = new Uint8Array(1 << 20).map((_, index) => index % 251)
  bob.handle(
    defineStream({
      ...file,
      handler: async (_request, stream) => {
        const writer = stream.writable.getWriter()
        await writer.write(bytes)
        await writer.close()
      },
    }),
  )
  const { readable } = await bobAtAlice.openStream(defineStream(file), null)
  const got: Uint8Array[] = []
  for await (const chunk of readable) got.push(chunk)
  assert.ok(Buffer.concat(got).equals(Buffer.from(bytes)))
  assert.equal(encryption(alice).tls, 1)
})

test('a device without TLS pairs and talks over Noise, whichever of the two dials', async () => {
  for (const dialer of ['it', 'the other one'] as const) {
    await using nodes = new TestNodes()
    const alice = await nodes.make('alice')
    const bob = await withoutTls(nodes, 'bob')
    const [shows, joins] = dialer === 'it' ? [alice, bob] : [bob, alice]
    const invitation = await shows.pair()
    const device = await joins.join(invitation.words, { peers: shows.status().listen })
    await invitation.paired
    await device.ping()
    assert.equal((await device.send('hello')).status, 'delivered')
    for (const node of [alice, bob]) {
      assert.equal(encryption(node).tls, 0)
      assert.equal(encryption(node).noiseForTls, 0)
    }
    await bob.close()
  }
})

test('threat 54: who blocks TLS on the way gets a session over Noise, which is seen, and goes over to TLS when he stops', async () => {
  await using nodes = new TestNodes()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob')])
  const [address = ''] = alice.status().listen
  const between = await blockOnce(Number(/tcp\/(\d+)/u.exec(address)?.[1]))
  try {
    const { port } = between.address() as AddressInfo
    const invitation = await alice.pair()
    const device = await bob.join(invitation.words, { peers: [address.replace(/tcp\/\d+/u, `tcp/${port}`)] })
    await invitation.paired
    await until(() => encryption(bob).tls === 1, 'TLS in the end')
    assert.deepEqual([encryption(bob).noise, encryption(bob).noiseForTls], [1, 1])
    await device.ping()
    assert.equal(device.state, 'connected')
  } finally {
    between.close()
  }
})

/** Passes everything on to the port, but for the first connection that begins with a TLS hello, which it cuts. */
async function blockOnce(port: number): Promise<Server> {
  let isBlocking = true
  const server = createServer((near) => {
    near.on('error', () => {})
    near.once('data', (first: Buffer) => {
      if (first[0] === 0x16 && isBlocking) {
        isBlocking = false
        near.destroy()
        return
      }
      const far = connect({ port, host: '127.0.0.1' })
      far.on('error', () => near.destroy())
      far.write(first)
      near.pipe(far).pipe(near)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** A node as on a platform that cannot, or of before. */
async function withoutTls(nodes: TestNodes, name: string): Promise<SpacedockNode> {
  const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']
  const options: NodeOptions = { name, interfaces, mdns: false, dataDir: await nodes.directory() }
  return startNode(options, {
    ...thisPlatform(options),
    createHost: (store) =>
      createHost({
        seed: store.identity.seed,
        port: 0,
        interfaces,
        agent: 'test',
        peers: new PeersOfNode(store, []),
      }),
  })
}

function encryption(node: SpacedockNode): { tls: number; noise: number; noiseForTls: number } {
  return node.metrics().sessions.encryption
}

function sum(node: SpacedockNode): number {
  const { tls, noise } = encryption(node)
  return tls + noise
}
