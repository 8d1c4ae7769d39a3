import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { announcedAddresses, heardAddresses } from '../../../../src/network/discovery/mdns/mdns-addresses.ts'
import { onLink, type UsableInterface } from '../../../../src/network/interfaces.ts'
import { asPeer } from '../../../peers.ts'

const peerId = asPeer('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')
const otherPeerId = '12D3KooWAgu8gDEDTdjSAVQNr3AXgvrmyf4FWztWD2pBXtMgy3UH'

const eth0: UsableInterface = {
  name: 'eth0',
  ipv4: ['10.0.0.2'],
  ipv6: ['fe80::2%eth0', 'fd00::2'],
  subnets: ['10.0.0.2/24', 'fe80::2/64', 'fd00::2/64'],
  zone: 'eth0',
  loopback: false,
  virtual: false,
}
const lo: UsableInterface = {
  ...eth0,
  name: 'lo',
  ipv4: ['127.0.0.1'],
  ipv6: ['::1'],
  subnets: ['127.0.0.1/8', '::1/128'],
  zone: 'lo',
  loopback: true,
}

function announced(listening: string[], through = eth0, others: UsableInterface[] = []): string[] {
  return announcedAddresses(
    listening.map((address) => multiaddr(address)),
    through,
    others,
    peerId,
  ).map((each) => each.multiaddr.replace(`/p2p/${peerId}`, ''))
}

function heard(addresses: string[], through = eth0): string[] {
  const texts = addresses.map((address) => `dnsaddr=${address}/p2p/${peerId}`)
  const claimed = heardAddresses(texts, through, onLink(through))
  return claimed?.addresses.map((address) => address.replace(`/p2p/${peerId}`, '')) ?? []
}

test("wildcards are announced as the interface's own addresses, the most useful first, without zones", () => {
  assert.deepEqual(announced(['/ip6/::/tcp/4001', '/ip4/0.0.0.0/tcp/4001']), [
    '/ip4/10.0.0.2/tcp/4001',
    '/ip6/fd00::2/tcp/4001',
    '/ip6/fe80::2/tcp/4001',
  ])
})

const wildcards = ['/ip6/::/tcp/4001', '/ip4/0.0.0.0/tcp/4001']
const cable: UsableInterface = {
  ...eth0,
  name: 'eth1',
  ipv4: [],
  ipv6: ['fe80::9%eth1'],
  subnets: ['fe80::9/64'],
  zone: 'eth1',
}

test('a packet never holds link-local IPv6 alone when the host has an address that everybody can dial', () => {
  const linkLocal = '/ip6/fe80::9/tcp/4001'
  assert.deepEqual(announced(wildcards, cable), [linkLocal])
  assert.deepEqual(announced(wildcards, cable, [cable, lo]), [linkLocal])
  assert.deepEqual(announced(wildcards, cable, [cable, lo, eth0]), [
    '/ip4/10.0.0.2/tcp/4001',
    '/ip6/fd00::2/tcp/4001',
    linkLocal,
  ])
  const alone = { ...eth0, ipv4: ['169.254.3.3'], ipv6: [], subnets: ['169.254.3.3/16'] }
  assert.deepEqual(announced(wildcards, cable, [cable, alone]), [linkLocal])
  // The other way round nothing of the cable is told.
  assert.deepEqual(announced(wildcards, eth0, [cable, eth0]), announced(wildcards, eth0))
})

test('addresses from elsewhere leave room for the own ones', () => {
  const many = { ...eth0, ipv4: Array.from({ length: 20 }, (_, at) => `10.0.0.${at + 1}`) }
  const told = announced(wildcards, cable, [many, cable])
  assert.equal(told.length, 5)
  assert.equal(told.at(-1), '/ip6/fe80::9/tcp/4001')
})

test('addresses of other interfaces, other transports and unbound ports are not announced', () => {
  const listening = [
    '/ip4/10.0.0.2/tcp/4001',
    '/ip4/10.0.0.2/tcp/4001/p2p/' + peerId,
    '/ip4/10.1.0.2/tcp/4001',
    '/ip4/127.0.0.1/tcp/4001',
    '/ip4/10.0.0.2/tcp/0',
    '/ip4/10.0.0.2/udp/4001',
    '/ip4/10.0.0.2/tcp/4002/ws',
    '/dns4/example.org/tcp/4001',
  ]
  assert.deepEqual(announced(listening), ['/ip4/10.0.0.2/tcp/4001'])
})

test('TCP addresses over IPv4 and IPv6 are accepted; link-local ones get the zone they were heard in', () => {
  assert.deepEqual(heard(['/ip4/10.0.0.3/tcp/4001', '/ip6/fd00::3/tcp/4001', '/ip6/fe80::3/tcp/4001']), [
    '/ip4/10.0.0.3/tcp/4001',
    '/ip6/fd00::3/tcp/4001',
    '/ip6zone/eth0/ip6/fe80::3/tcp/4001',
  ])
})

const refused = [
  '/ip4/127.0.0.1/tcp/4001',
  '/ip4/0.0.0.0/tcp/4001',
  '/ip4/224.0.0.251/tcp/4001',
  '/ip4/255.255.255.255/tcp/4001',
  '/ip4/169.254.169.254/tcp/80',
  '/ip6/::1/tcp/4001',
  '/ip6/::/tcp/4001',
  '/ip6/ff02::fb/tcp/4001',
  '/ip6/::ffff:127.0.0.1/tcp/4001',
  '/ip6/::ffff:a9fe:a9fe/tcp/80',
  '/ip6zone/eth7/ip6/fe80::3/tcp/4001',
  '/ip4/10.0.0.3/tcp/0',
  '/ip4/10.0.0.3/udp/4001',
  '/ip4/10.0.0.3/tcp/4001/ws',
  '/dns4/example.org/tcp/4001',
  '/ip4/10.0.0.3/tcp/4001/p2p/' + otherPeerId + '/p2p-circuit',
]
for (const address of refused) {
  test(`a stranger's ${address} is not dialled`, () => {
    assert.deepEqual(heard([address]), [])
  })
}

test('loopback addresses are accepted on loopback, IPv4 link-local ones where the interface has one too', () => {
  assert.deepEqual(heard(['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'], lo), [
    '/ip4/127.0.0.1/tcp/1',
    '/ip6/::1/tcp/1',
  ])
  const cable = { ...eth0, ipv4: ['169.254.1.1'], subnets: ['169.254.1.1/16'] }
  assert.deepEqual(heard(['/ip4/169.254.7.7/tcp/1'], cable), ['/ip4/169.254.7.7/tcp/1'])
})

test('at most 16 addresses of a peer are kept', () => {
  const many = Array.from({ length: 200 }, (_, index) => `/ip4/10.0.0.${index + 1}/tcp/4001`)
  assert.equal(heard(many).length, 16)
})

test('texts of no peer, or of a second one, are skipped', () => {
  const texts = [
    'hello',
    'dnsaddr=',
    'dnsaddr=/ip4/10.0.0.3/tcp/4001',
    'dnsaddr=/ip4/10.0.0.3/tcp/4001/p2p/nonsense',
    `dnsaddr=/ip4/10.0.0.3/tcp/4001/p2p/${peerId}`,
    `dnsaddr=/ip4/10.0.0.4/tcp/4001/p2p/${otherPeerId}`,
  ]
  const claimed = heardAddresses(texts, eth0, onLink(eth0))
  assert.equal(claimed?.peerId, peerId)
  assert.deepEqual(claimed.addresses, [`/ip4/10.0.0.3/tcp/4001/p2p/${peerId}`])
  assert.equal(heardAddresses(texts.slice(0, 4), eth0, onLink(eth0)), undefined)
})

test('a packet belongs to the interface whose network or zone its sender is in', () => {
  const networks = onLink(eth0)
  for (const address of ['10.0.0.9', '10.0.0.2', 'fe80::9%eth0', 'fd00::9'])
    assert.ok(networks.includes(address), address)
  for (const address of ['10.0.1.9', '127.0.0.1', 'fe80::9%eth1', 'fd01::9', '::1']) {
    assert.ok(!networks.includes(address), address)
  }
})
