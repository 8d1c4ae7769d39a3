import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Libp2p } from 'libp2p'
import { systemClock } from '../../../src/clock.ts'
import { RendezvousNodes } from '../../../src/network/relay/rendezvous-nodes.ts'
import { realHost, until } from '../real-hosts.ts'

test('keeps connected to every node that there is, and a dead one delays nothing', async () => {
  const [device, node, dead] = await Promise.all([realHost(), realHost(), realHost()])
  const addresses = [dead, node].map(addressOf)
  await dead.stop()
  const connected: string[] = []
  const nodes = new RendezvousNodes({
    libp2p: device,
    addresses: [...addresses, ...addresses],
    clock: systemClock,
    log: () => {},
    onConnected: (peer) => connected.push(peer),
  })
  try {
    nodes.start()
    await until(() => nodes.connected().length === 1, 'connected')
    assert.deepEqual(nodes.connected(), [node.peerId.toString()])
    assert.equal(nodes.has(dead.peerId.toString()), true)
    assert.equal(nodes.has(device.peerId.toString()), false)

    for (const connection of device.getConnections()) connection.abort(new Error('the network has gone'))
    await until(() => connected.length === 2, 'connected again')
    assert.equal(new Set(connected).size, 1)
  } finally {
    await nodes.stop()
    await Promise.all([device.stop(), node.stop()])
  }
})

test('a node that comes later is found, at once when there is news of the network', async () => {
  const [device, node] = await Promise.all([realHost(), realHost()])
  let failures = 0
  let dialling = false
  const nodes = new RendezvousNodes({
    libp2p: {
      getConnections: (peer) => device.getConnections(peer),
      addEventListener: device.addEventListener.bind(device),
      removeEventListener: device.removeEventListener.bind(device),
      dial: async (target, options) => {
        if (!dialling) throw new Error('no network yet')
        return device.dial(target, options)
      },
    },
    addresses: [addressOf(node)],
    clock: systemClock,
    // The longest waiting times, so that only the news can be what ends them.
    random: () => 0.999,
    log: () => failures++,
  })
  try {
    nodes.start()
    await until(() => failures === 1, 'the first try has failed')
    for (let ring = 2; ring <= 8; ring++) {
      nodes.hurry()
      await until(() => failures === ring, `try ${ring}`)
    }
    dialling = true
    nodes.hurry()
    await until(() => nodes.connected().length === 1, 'connected')
  } finally {
    await nodes.stop()
    await Promise.all([device.stop(), node.stop()])
  }
})

test('an address without a peer is refused when it is given', () => {
  for (const address of ['/ip4/192.0.2.1/tcp/4001', 'nonsense', '/p2p/12D3KooW']) {
    assert.throws(
      () =>
        new RendezvousNodes({
          libp2p: {} as Libp2p,
          addresses: [address],
          clock: systemClock,
          log: () => {},
        }),
      { code: 'invalid-argument' },
    )
  }
})

function addressOf(host: Libp2p): string {
  return String(host.getMultiaddrs()[0])
}
