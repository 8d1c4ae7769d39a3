import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { lookUpPublic, publicTcp } from '../../../src/network/public/public-tcp.ts'

test('addresses that are the same everywhere are dialled, names, and those that a person named', async () => {
  const libp2p = await createLibp2p({
    start: false,
    transports: [publicTcp(new Set(['10.0.0.7', 'dht.home.arpa']))],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  })
  const dialled = [
    '/ip4/20.3.4.5/tcp/4001',
    '/ip6/2a02:4780:10::1/tcp/4001',
    '/dns4/example.org/tcp/4001',
    '/ip4/10.0.0.7/tcp/4001',
    '/dns4/dht.home.arpa/tcp/4001',
  ]
  const others = [
    '/ip4/10.0.0.8/tcp/4001',
    '/ip4/100.64.0.1/tcp/4001',
    '/ip4/127.0.0.1/tcp/4001',
    '/ip4/169.254.169.254/tcp/80',
    '/ip6/::1/tcp/4001',
    '/ip6/fd00::1/tcp/4001',
    '/ip6/::ffff:7f00:1/tcp/4001',
    '/ip6zone/eth0/ip6/fe80::1/tcp/4001',
    '/unix/%2Frun%2Fsocket',
  ]
  for (const [addresses, expected] of [
    [dialled, true],
    [others, false],
  ] as const) {
    for (const address of addresses) {
      assert.equal(await libp2p.isDialable(multiaddr(address)), expected, address)
    }
  }
})

test('a name is dialled as far as it leads to such an address, however it is asked for', async () => {
  for (const options of [{ all: true }, { all: false }, { family: 4 }]) {
    const error = await new Promise((resolve) => {
      lookUpPublic('localhost', options, resolve)
    })
    assert.match(String(error), /localhost leads to no public address/u)
  }
  // The system knows numbers without asking anybody.
  const all = await new Promise((resolve) => {
    lookUpPublic('20.3.4.5', { all: true }, (_error, found) => resolve(found))
  })
  assert.deepEqual(all, [{ address: '20.3.4.5', family: 4 }])
  const one = await new Promise((resolve) => {
    lookUpPublic('20.3.4.5', {}, (_error, found, family) => resolve([found, family]))
  })
  assert.deepEqual(one, ['20.3.4.5', 4])
})
