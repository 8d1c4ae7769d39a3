import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { addressesFor, addressesForStrangers } from '../../../src/network/addresses/told-addresses.ts'
import type { AddressClass } from '../../../src/network/addresses/address-class.ts'

const circuit = '/ip4/45.67.89.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit'
const everywhere = ['/ip4/20.3.4.5/tcp/1', '/ip6/2a02:1234::5/tcp/1', circuit]
const shared = ['/ip4/100.64.1.1/tcp/1']
const atHome = ['/ip4/192.168.1.20/tcp/1', '/ip6/fd00:1::1/tcp/1']
const onLink = ['/ip4/169.254.1.2/tcp/1']
const here = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1']
const all = [...everywhere, ...shared, ...atHome, ...onLink, ...here].map((text) => multiaddr(text))

const table: [AddressClass | null, string[]][] = [
  [null, everywhere],
  ['public', everywhere],
  ['global-ipv6', everywhere],
  ['relayed', everywhere],
  ['shared', [...everywhere, ...shared]],
  ['private', [...everywhere, ...shared, ...atHome]],
  ['unique-local', [...everywhere, ...shared, ...atHome]],
  ['link-local', [...everywhere, ...shared, ...atHome, ...onLink]],
  ['loopback', all.map(String)],
]

for (const [seenAt, told] of table) {
  test(`who is seen at ${seenAt ?? 'no address'} is told addresses that reach as far, and no nearer ones`, () => {
    assert.deepEqual(addressesFor(all, seenAt).map(String), told)
  })
}

test('those of whom nothing is known are told private addresses only where there is nothing else', () => {
  const home = [...atHome, ...here].map((text) => multiaddr(text))
  assert.deepEqual(addressesForStrangers(all).map(String), everywhere)
  assert.deepEqual(addressesForStrangers(home).map(String), atHome)
})
