import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { linkLocalAddresses, withZones } from '../../../src/network/addresses/link-local-addresses.ts'
import type { UsableInterface } from '../../../src/network/interfaces.ts'

const eth0: UsableInterface = {
  name: 'eth0',
  ipv4: ['169.254.7.1', '10.0.0.2'],
  ipv6: ['fe80::1%eth0', 'fd00::1'],
  subnets: [],
  zone: 'eth0',
  loopback: false,
  virtual: false,
}
const eth1: UsableInterface = { ...eth0, name: 'eth1', zone: 'eth1', ipv4: [], ipv6: ['fe80::2%eth1'] }
const list = (): UsableInterface[] => [eth0, eth1]
const peer = '/p2p/12D3KooWRR24oqVMCR6qrQPpsRy4JqhUBSUTZaQHdFVmk7KXr22t'

test('a host that listens everywhere is at each link-local address, and one that listens at some at those', () => {
  const everywhere = ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'].map((text) => multiaddr(text))
  assert.deepEqual(linkLocalAddresses(everywhere, [eth0, eth1]).map(String), [
    '/ip4/169.254.7.1/tcp/4001',
    '/ip6/fe80::1/tcp/4001',
    '/ip6/fe80::2/tcp/4001',
  ])
  const some = ['/ip4/169.254.7.1/tcp/4001', '/ip4/10.0.0.2/tcp/4001'].map((text) => multiaddr(text))
  assert.deepEqual(linkLocalAddresses(some, [eth0, eth1]).map(String), ['/ip4/169.254.7.1/tcp/4001'])
  assert.deepEqual(linkLocalAddresses(everywhere, []), [])
})

test('an IPv6 link-local address gets the zones of this machine, also in place of one of another', () => {
  const both = ['/ip6zone/eth0', '/ip6zone/eth1'].map((zone) => `${zone}/ip6/fe80::9/tcp/4001${peer}`)
  assert.deepEqual(withZones(`/ip6/fe80::9/tcp/4001${peer}`, list), both)
  assert.deepEqual(withZones(`/ip6zone/en7/ip6/fe80::9/tcp/4001${peer}`, list), both)
  assert.deepEqual(withZones(both[1] ?? '', list), [both[1]])
})

test('any other address stays as it is, and so does one that no interface could lead to', () => {
  for (const host of ['/ip4/169.254.7.1', '/ip4/10.0.0.1', '/ip6/fd00::1', '/dns4/example.org'])
    assert.deepEqual(
      withZones(`${host}/tcp/4001${peer}`, () => [eth0]),
      [`${host}/tcp/4001${peer}`],
    )
  const alone = `/ip6/fe80::9/tcp/4001${peer}`
  assert.deepEqual(
    withZones(alone, () => [{ ...eth0, ipv6: [] }]),
    [alone],
  )
})
