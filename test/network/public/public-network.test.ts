import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { systemClock } from '../../../src/clock.ts'
import { publicDhtProtocol } from '../../../src/network/dht/dht-protocols.ts'
import { PublicNetwork } from '../../../src/network/public/public-network.ts'
import { HostileDht } from '../../threats/hostile-dht.ts'
import { until, within } from '../real-hosts.ts'
import { lookUp, testRecord, withDht, type DhtNodeOptions } from '../dht/dht-network.ts'

/** What the nodes of the public network run: nothing of ours, on loopback. */
const stock: DhtNodeOptions = {
  network: 'public',
  service: kadDHT({
    protocol: publicDhtProtocol,
    clientMode: false,
    validators: { ipns: ipnsValidator },
    selectors: { ipns: ipnsSelector },
    peerInfoMapper: passthroughMapper,
    allowQueryWithZeroPeers: true,
    initialQuerySelfInterval: 500,
  }),
}

test('servers of the public DHT store our records, and a throwaway identity finds them', async () => {
  await withDht(
    3,
    async ({ servers }) => {
      const bootstrap = servers.map(({ libp2p }) => String(libp2p.getMultiaddrs()[0]))
      const [alice, bob] = [throwaway(bootstrap), throwaway(bootstrap)]
      try {
        await Promise.all([alice.renew(), bob.renew()])
        await until(() => alice.nodes > 0 && bob.nodes > 0, 'both have entered')
        const { routingKey, value } = await testRecord(1n)
        const stored = await alice.publish(value, routingKey, { signal: AbortSignal.timeout(10_000) })
        assert.ok(stored >= 1)
        const found = await lookUp(bob, routingKey)
        assert.ok(found.length >= 1)
        for (const record of found) assert.deepEqual(Uint8Array.from(record), value)
      } finally {
        await Promise.all([alice.stop(), bob.stop()])
      }
    },
    stock,
  )
})

test('threat 38: each identity on the public DHT is another one, and none is left when it ends', async () => {
  await withDht(
    1,
    async ({ servers: [server] }) => {
      assert.ok(server)
      const seen = new Set<string>()
      server.libp2p.addEventListener('peer:connect', ({ detail }) => seen.add(detail.toString()))
      const dht = throwaway(server.libp2p.getMultiaddrs().map(String))
      let news = 0
      const stopListening = dht.onNode(() => news++)
      const used: (string | undefined)[] = []
      for (const _ of [1, 2, 3]) {
        await dht.renew()
        used.push(dht.peerId)
        await until(() => dht.nodes > 0, 'it has entered')
      }
      assert.deepEqual([...seen], used)
      assert.equal(new Set(used).size, 3)
      assert.ok(news >= 3, 'whoever waits for nodes hears of those of each identity')
      stopListening()
      await dht.stop()
      await dht.renew()
      assert.equal(dht.peerId, undefined, 'it does not come back')
      assert.equal(
        await within(
          dht.publish(new Uint8Array(), new Uint8Array(), { signal: AbortSignal.timeout(1_000) }),
          'publish',
        ),
        0,
      )
      assert.deepEqual(await lookUp(dht, new Uint8Array(40)), [])
      await until(() => server.libp2p.getConnections().length === 0, 'nothing of it is left')
    },
    stock,
  )
})

test('threat 38: what is asked and written while the identity changes is asked and written by the next one', async () => {
  const server = await HostileDht.start({ protocol: publicDhtProtocol, answer: () => ({}) })
  const dht = throwaway([server.address])
  try {
    await dht.renew()
    await until(() => dht.nodes > 0, 'it has entered')
    const first = dht.peerId
    const { routingKey, value } = await testRecord(1n)
    const changing = dht.renew()
    const options = { signal: AbortSignal.timeout(10_000) }
    const found = lookUp(dht, routingKey)
    assert.equal(await dht.publish(value, routingKey, options), 1)
    await Promise.all([changing, found])
    assert.notEqual(dht.peerId, first)
    assert.deepEqual(server.overheard.map(({ peer, value: written }) => [peer, written === null]).sort(), [
      [dht.peerId, false],
      [dht.peerId, true],
    ])
  } finally {
    await dht.stop()
    await server.stop()
  }
})

function throwaway(bootstrap: string[]): PublicNetwork {
  return new PublicNetwork({
    bootstrap,
    random: (length) => randomBytes(length),
    clock: systemClock,
    log: () => {},
    privateAddresses: true,
  })
}
