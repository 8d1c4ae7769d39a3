import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { NodeOptions, PairingProgress, SpacedockNode } from '../../src/api.ts'
import { createNode } from '../../src/node.ts'
import { dhtNode, permissive, withDht, type DhtNode } from '../network/dht/dht-network.ts'
import { publicDhtProtocol } from '../../src/network/dht/dht-protocols.ts'
import { until, within } from '../network/real-hosts.ts'
import { HostileDht } from '../threats/hostile-dht.ts'
import { SteeredClock } from '../threats/steered-clock.ts'

const deadlineMs = 30_000
/** Between two looks for the joiner's record. */
const longestPauseMs = 22_500

test('two devices that know the words and a rendezvous node, and no more, pair and talk', async () => {
  await withDht(1, async ({ servers }) => {
    await withDevices(async (start) => {
      const rendezvous = servers.map(addressOf)
      const [alice, bob] = await Promise.all([start('alice', { rendezvous }), start('bob', { rendezvous })])
      const progress: PairingProgress[] = []
      const invitation = await alice.pair({ onProgress: (one) => progress.push(one) })
      const sources: PairingProgress[] = []
      const onProgress = (one: PairingProgress): unknown => sources.push(one)
      const paired = await bob.join(invitation.words, { timeoutMs: deadlineMs, onProgress })
      assert.equal(paired.name, 'alice')
      assert.equal((await invitation.paired).name, 'bob')
      assert.deepEqual(internet(progress), ['ready: published to 1 node'])
      // Alice may have found Bob's record, and dialled him, before his own search has come to its end.
      const told = ['ready: asking 1 node', 'ready: found the other device']
      assert.ok(told.includes(internet(sources).at(-1) ?? ''), internet(sources).join('; '))
      assert.equal((await paired.send('hello')).status, 'delivered')
    })
  })
})

test('two devices that both changed their addresses while apart find each other again', async () => {
  await withDht(1, async ({ servers }) => {
    await withDevices(async (start) => {
      const rendezvous = servers.map(addressOf)
      const [alice, bob] = await Promise.all([start('alice', { rendezvous }), start('bob', { rendezvous })])
      const invitation = await alice.pair()
      await bob.join(invitation.words, { timeoutMs: deadlineMs })
      await invitation.paired
      const before = [alice, bob].map((node) => node.status().listen)
      await Promise.all([alice.close(), bob.close()])
      // Nobody listens where they were, and there is no multicast.
      const moved = await Promise.all([
        start('alice', { rendezvous, port: await freePort() }),
        start('bob', { rendezvous, port: await freePort() }),
      ])
      for (const [at, node] of moved.entries()) {
        assert.ok(node.status().listen.every((address) => before[at]?.includes(address) === false))
      }
      const connected = () => moved.every((node) => node.devices()[0]?.state === 'connected')
      await until(connected, 'connected again', deadlineMs)
    })
  })
})

test('an initiator looks for the record of the joiner until somebody has shown the words, and no longer', async () => {
  const server = await HostileDht.start({ answer: () => ({}) })
  try {
    await withDevices(async (start) => {
      const clock = new SteeredClock()
      const alice = await start('alice', { rendezvous: [server.address], clock })
      const bob = await start('bob', {})
      const asked = (): string[] =>
        server.overheard
          .filter(({ peer, value }) => peer === alice.peerId && value === null)
          .map(({ routingKey }) => routingKey.join())
      const contact = Promise.withResolvers<void>()
      const answer = Promise.withResolvers<boolean>()
      const confirm = (): Promise<boolean> => {
        contact.resolve()
        return answer.promise
      }
      const invitation = await alice.pair({ confirm })
      await until(() => asked().length > 0, 'it has been looked for', deadlineMs)
      const [joiners] = asked()
      const looks = (): number => asked().filter((key) => key === joiners).length
      const first = looks()
      clock.pass(longestPauseMs)
      await until(() => looks() > first, 'it is looked for again', deadlineMs)

      const joined = bob.join(invitation.words, { peers: alice.status().listen, timeoutMs: deadlineMs })
      joined.catch(() => {})
      await contact.promise
      const last = looks()
      clock.pass(longestPauseMs)
      // Whatever would be asked then would be asked before this.
      const other = await bob.pair()
      const searching = new AbortController()
      const search = alice.join(other.words, { signal: searching.signal }).catch(() => {})
      await until(() => asked().at(-1) !== joiners, 'something else is looked for', deadlineMs)
      assert.equal(looks(), last)
      searching.abort()
      await search
      answer.resolve(true)
      await Promise.all([joined, invitation.paired])
    })
  } finally {
    await server.stop()
  }
})

test("threat 38: the device's own peer id never reaches the public DHT", async () => {
  const seen = new Set<string>()
  await withDht(
    1,
    async ({ servers }) => {
      for (const { libp2p } of servers) {
        libp2p.addEventListener('peer:connect', ({ detail }) => seen.add(detail.toString()))
      }
      await withDevices(async (start) => {
        const options: Partial<NodeOptions> = { dht: 'public', dhtBootstrap: servers.map(addressOf) }
        const [alice, bob] = await Promise.all([start('alice', options), start('bob', options)])
        const invitation = await alice.pair()
        const paired = await bob.join(invitation.words, { timeoutMs: deadlineMs })
        assert.equal(paired.name, 'alice')
        await invitation.paired
        assert.equal(seen.size, 2)
        assert.ok(!seen.has(alice.peerId) && !seen.has(bob.peerId))
        assert.deepEqual(alice.status().publicNetwork, { nodes: 1, relays: [] })
        assert.equal((await start('carol', { lanOnly: true })).status().publicNetwork, null)
      })
    },
    { ...(await permissive([], publicDhtProtocol)), network: 'public' },
  )
})

test('rendezvous nodes that are gone or never answer delay neither start, nor pairing, nor close', async () => {
  const silent = await silentServer()
  const gone = await dhtNode()
  const rendezvous = [addressOf(gone), silent.address]
  await gone.libp2p.stop()
  try {
    await withDevices(async (start) => {
      const [alice, bob] = await within(
        Promise.all([start('alice', { rendezvous }), start('bob', { rendezvous })]),
        'start',
      )
      const progress: PairingProgress[] = []
      const invitation = await alice.pair({ onProgress: (one) => progress.push(one) })
      // The silent one takes 10 s to be given up.
      const paired = await within(bob.join(invitation.words, { peers: alice.status().listen }), 'join', 8_000)
      assert.equal(paired.name, 'alice')
      await invitation.paired
      assert.deepEqual(internet(progress), [])
      await until(() => silent.sockets.size > 0, 'somebody tried')
      await within(Promise.all([alice.close(), bob.close()]), 'close', 8_000)
      assert.equal(silent.sockets.size, 0, 'and has given up')
    })
  } finally {
    await silent.close()
  }
})

test('what is wrong about the settings is said at the start, and leaves nothing behind', async () => {
  await withDevices(async (start) => {
    await assert.rejects(start('alice', { rendezvous: ['/ip4/192.0.2.1/tcp/1'] }), {
      code: 'invalid-argument',
    })
    await assert.rejects(start('alice', { dht: 'none' as 'private' }), { code: 'invalid-argument' })
    await start('alice', {
      rendezvous: ['/ip4/192.0.2.1/tcp/1/p2p/12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss'],
      lanOnly: true,
    })
  })
})

function internet(progress: PairingProgress[]): string[] {
  return progress.flatMap((one) =>
    one.kind === 'source' && one.source === 'internet' ? [`${one.status}: ${one.detail}`] : [],
  )
}

type Start = (name: string, options: Partial<NodeOptions>) => Promise<SpacedockNode>

/** Devices on loopback without multicast; one that is started again has its data. All is closed and deleted at the end. */
async function withDevices(use: (start: Start) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'spacedock-internet-'))
  const nodes: SpacedockNode[] = []
  try {
    await use(async (name, options) => {
      const node = await createNode({
        dataDir: join(root, name),
        name,
        interfaces: ['lo'],
        mdns: false,
        ...options,
      })
      nodes.push(node)
      return node
    })
  } finally {
    await Promise.all(nodes.map(async (node) => node.close()))
    await rm(root, { recursive: true, force: true })
  }
}

/** Accepts connections and says nothing. */
async function silentServer() {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    address: `/ip4/127.0.0.1/tcp/${port}/p2p/12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss`,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function addressOf({ libp2p }: DhtNode): string {
  return String(libp2p.getMultiaddrs()[0])
}
