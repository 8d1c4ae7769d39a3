import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import {
  addressClasses,
  classOfAddress,
  type AddressClass,
} from '../../../src/network/addresses/address-class.ts'
import {
  ownAddresses,
  someOfEachClass,
  usableElsewhere,
  type KnownAddress,
} from '../../../src/network/addresses/own-addresses.ts'

const relay = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

/** One or more of each class. */
const examples: Record<AddressClass, string[]> = {
  public: [
    '/ip4/20.3.4.5/tcp/1',
    '/ip4/45.67.89.1/tcp/1',
    '/ip4/172.32.0.1/tcp/1',
    '/dns4/meet.example.org/tcp/1',
  ],
  'global-ipv6': ['/ip6/2a02:1234::5/tcp/1', '/ip6/2003:1::1/tcp/1'],
  relayed: [`/ip4/20.3.4.5/tcp/1/p2p/${relay}/p2p-circuit`, `/ip4/10.0.0.1/tcp/1/p2p/${relay}/p2p-circuit`],
  shared: ['/ip4/100.64.0.1/tcp/1', '/ip4/100.127.255.254/tcp/1'],
  private: ['/ip4/10.1.2.3/tcp/1', '/ip4/172.31.255.1/tcp/1', '/ip4/192.168.0.1/tcp/1'],
  'unique-local': ['/ip6/fd00:1::1/tcp/1', '/ip6/fc00::1/tcp/1'],
  'link-local': ['/ip4/169.254.7.7/tcp/1', '/ip6/fe80::1/tcp/1', '/ip6zone/eth0/ip6/fe80::1/tcp/1'],
  loopback: ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'],
  embedded: [
    '/ip6/::ffff:20.3.4.5/tcp/1',
    '/ip6/64:ff9b::1/tcp/1',
    '/ip6/2002::1/tcp/1',
    '/ip6/2001:0:1::1/tcp/1',
  ],
  never: ['/ip4/0.0.0.0/tcp/1', '/ip4/224.0.0.251/tcp/1', '/ip4/169.254.169.254/tcp/1', '/ip6/::/tcp/1'],
}

test('every address has the class of its range', () => {
  for (const expected of addressClasses) {
    for (const text of examples[expected]) assert.equal(classOfAddress(multiaddr(text)), expected, text)
  }
  for (const text of ['/memory/x', `/p2p/${relay}`]) assert.equal(classOfAddress(multiaddr(text)), null, text)
})

test('what js-libp2p takes for private is public for nobody, but for what is kept for documents', () => {
  const forDocuments =
    /^(?:192\.0\.2|198\.51\.100|203\.0\.113|198\.1[89]|192\.(?:31\.196|52\.193|88\.99|175\.48))\./u
  fc.assert(
    fc.property(fc.ipV4(), (ip) => {
      const address = multiaddr(`/ip4/${ip}/tcp/1`)
      const isOurs = classOfAddress(address) === 'public'
      if (isOurs && isPrivate(address)) assert.match(ip, forDocuments)
    }),
    { numRuns: 1_000 },
  )
})

test('an address of an interface is ours at once, one that others tell of when it is verified', () => {
  const [circuit = ''] = examples.relayed
  const table: [boolean, KnownAddress][] = [
    [true, known('interface', false, '/ip4/20.3.4.5/tcp/1')],
    [true, known('interface', false, '/ip6/2a02:1234::5/tcp/1')],
    [true, known('interface', true, '/ip4/10.1.2.3/tcp/1')],
    [false, known('interface', false, circuit)],
    [true, known('interface', true, circuit)],
    [true, known('announced', true, '/dns4/meet.example.org/tcp/1')],
    [false, known('observed', false, '/ip4/20.3.4.6/tcp/1')],
    [true, known('observed', true, '/ip4/20.3.4.6/tcp/1')],
    [false, known('mapped', false, '/ip4/20.3.4.6/tcp/1')],
    [true, known('mapped', true, '/ip4/20.3.4.6/tcp/1')],
    [false, known('interface', true, '/ip4/224.0.0.1/tcp/1')],
    [false, known('interface', true, '/ip6/2002::1/tcp/1')],
    [false, known('announced', true, '/memory/x')],
  ]
  for (const [isOwn, each] of table) {
    const seen = `${each.source} ${each.address.toString()}, verified: ${each.verified}`
    assert.equal(ownAddresses([each]).length, isOwn ? 1 : 0, seen)
  }
})

test('own addresses come best first, in whatever order they are known, and none twice', () => {
  const own = addressClasses.filter((each) => each !== 'embedded' && each !== 'never')
  const expected = own.map((each) => examples[each][0] ?? '')
  fc.assert(
    fc.property(fc.shuffledSubarray(expected, { minLength: expected.length }), (shuffled) => {
      const twice = [...shuffled, ...shuffled].map((text) => known('observed', true, text))
      assert.deepEqual(ownAddresses(twice).map(String), expected)
    }),
  )
})

test('what is good on this machine alone is only for those who have nothing else', () => {
  const local = [...examples['link-local'], ...examples.loopback].map((text) => multiaddr(text))
  const far = [...examples.public, ...examples.private].map((text) => multiaddr(text))
  assert.deepEqual(usableElsewhere([...local, ...far]), far)
  assert.deepEqual(usableElsewhere(local), local)
})

test('where there is little room, each class has a place before any has two', () => {
  const all = [examples.public, examples['global-ipv6'], examples.relayed, examples.private].flat()
  const chosen = someOfEachClass(
    all.map((text) => multiaddr(text)),
    5,
  ).map((address) => classOfAddress(address))
  assert.deepEqual(chosen, ['public', 'global-ipv6', 'relayed', 'private', 'public'])
})

function known(source: KnownAddress['source'], verified: boolean, text: string): KnownAddress {
  return { address: multiaddr(text), source, verified }
}
