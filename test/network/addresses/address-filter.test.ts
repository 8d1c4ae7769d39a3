import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { filterAddresses, isNeverDialled } from '../../../src/network/addresses/address-filter.ts'
import { asPeer } from '../../peers.ts'

const peer = asPeer('12D3KooWSMvnHKxczC1AbX4Vv9K4u9tPUAaDSp9ngLE4wKq8GJss')
const relay = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const options = { peer, allowLoopback: false }
const loopbackAddresses = ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.9.9.9/tcp/80', '/ip6/::1/tcp/4001']

test('direct and relayed addresses are kept, in their order and without the peer at their end', () => {
  const kept = [
    '/ip4/203.0.113.7/tcp/4001',
    '/ip6/2001:db8::7/tcp/4001',
    '/ip4/192.168.1.20/tcp/40123',
    '/ip4/10.1.2.3/tcp/40123',
    '/ip4/172.16.0.9/tcp/40123',
    '/ip6/fd12:3456::1/tcp/4001',
    `/ip4/198.51.100.1/tcp/443/p2p/${relay}/p2p-circuit`,
    `/dns4/rendezvous.example.org/tcp/443/p2p/${relay}/p2p-circuit`,
  ]
  assert.deepEqual(filterAddresses(kept, options), kept)
  assert.deepEqual(
    filterAddresses(
      kept.map((address) => `${address}/p2p/${peer}`),
      options,
    ),
    kept,
  )
  assert.deepEqual(filterAddresses([...kept, ...kept], options), kept)
})

test('threat 22: an address that leads to the reader itself, its cloud or nowhere is dropped', () => {
  const hosts = [
    '/ip4/0.0.0.0',
    '/ip4/0.1.2.3',
    '/ip4/169.254.10.20',
    '/ip4/169.254.169.254',
    '/ip4/100.100.100.200',
    '/ip4/168.63.129.16',
    '/ip4/224.0.0.251',
    '/ip4/239.1.1.1',
    '/ip4/255.255.255.255',
    '/ip6/::',
    '/ip6/fe80::1',
    '/ip6zone/eth0/ip6/fe80::1',
    '/ip6/ff02::fb',
    '/ip6/fd00:ec2::254',
    '/ip6/::ffff:127.0.0.1',
    '/ip6/::ffff:169.254.169.254',
    '/ip6/::127.0.0.1',
    '/ip6/64:ff9b::7f00:1',
    '/ip6/2002:7f00:1::',
    '/dns4/localhost',
    '/dns4/router.local',
    '/dns4/example.org',
    '/dnsaddr/example.org',
  ]
  for (const host of [...hosts, '/ip4/127.0.0.1', '/ip4/127.1.2.3', '/ip6/::1']) {
    assert.deepEqual(filterAddresses([`${host}/tcp/80`], options), [], host)
    assert.deepEqual(filterAddresses([`${host}/tcp/80/p2p/${peer}`], options), [], host)
    const isName = host === '/dns4/example.org'
    const relayed = filterAddresses([`${host}/tcp/80/p2p/${relay}/p2p-circuit`], options)
    assert.equal(relayed.length, isName ? 1 : 0, `relay at ${host}`)
  }
})

test('loopback is for those who use nothing else', () => {
  assert.deepEqual(filterAddresses(loopbackAddresses, options), [])
  assert.deepEqual(filterAddresses(loopbackAddresses, { peer, allowLoopback: true }), loopbackAddresses)
})

test('threat 22: an address that names another peer is dropped', () => {
  for (const address of [
    `/ip4/203.0.113.7/tcp/4001/p2p/${relay}`,
    `/ip4/198.51.100.1/tcp/443/p2p/${relay}/p2p-circuit/p2p/${relay}`,
    `/ip4/198.51.100.1/tcp/443/p2p/${peer}/p2p-circuit`,
  ]) {
    assert.deepEqual(filterAddresses([address], options), [], address)
  }
})

test('other transports, other forms and what is no address are dropped', () => {
  for (const address of [
    '/ip4/203.0.113.7/udp/4001/quic-v1',
    '/ip4/203.0.113.7/tcp/4001/ws',
    '/ip4/203.0.113.7/tcp/0',
    '/ip4/203.0.113.7',
    '/unix/tmp/x',
    `/p2p/${peer}`,
    `/p2p/${relay}/p2p-circuit`,
    `/ip4/198.51.100.1/tcp/1/p2p/${relay}/p2p-circuit/ip4/127.0.0.1/tcp/1`,
    `/ip4/198.51.100.1/tcp/1/p2p/${relay}/p2p-circuit/p2p/${peer}/p2p-circuit`,
    '/ip4/300.0.0.1/tcp/1',
    'nonsense',
    '',
    `/dns4/${'a'.repeat(600)}.example.org/tcp/1/p2p/${relay}/p2p-circuit`,
  ]) {
    assert.deepEqual(filterAddresses([address], options), [], address)
  }
})

test('threat 20: of 1,000 addresses a dozen is left, and reading them never fails', () => {
  const thousand = Array.from({ length: 1_000 }, (_, at) => `/ip4/203.0.${at >> 8}.${at & 255}/tcp/1`)
  assert.deepEqual(filterAddresses(thousand, options), thousand.slice(0, 12))
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
      assert.deepEqual(filterAddresses(texts, options), [])
    }),
  )
})

test('what is never dialled is neither loopback, nor private, nor a link', () => {
  for (const address of [
    '/ip4/169.254.169.254/tcp/80',
    '/ip6/fd00:ec2::254/tcp/80',
    '/ip4/0.0.0.0/tcp/1',
    // libp2p's TCP would connect to it
    '/unix/%2Frun%2Fsocket',
  ]) {
    assert.equal(isNeverDialled(multiaddr(address)), true, address)
  }
  for (const address of [
    ...loopbackAddresses,
    '/ip4/192.168.1.1/tcp/1',
    '/ip4/169.254.10.20/tcp/1',
    '/ip6/fe80::1/tcp/1',
    '/ip6zone/eth0/ip6/fe80::1/tcp/1',
    '/dns4/example.org/tcp/1',
    '/ip6/2001:db8::1/tcp/1',
  ]) {
    assert.equal(isNeverDialled(multiaddr(address)), false, address)
  }
})
