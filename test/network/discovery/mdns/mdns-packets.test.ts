import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  encodeAnnouncement,
  encodeGoodbye,
  encodeQuery,
  maximumPacketBytes,
  readPacket,
} from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import type {
  AnnouncedAddress,
  DecodedPacket,
  HeardPacket,
  Packet,
} from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import { wire } from './simulated-lan.ts'

const service = '_p2p._udp.local'
const own = `${'a'.repeat(32)}.${service}`
const peerId = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

function announced(host: string, port = 4001): AnnouncedAddress {
  const family = host.includes(':') ? 'ipv6' : 'ipv4'
  const multiaddr = `/${family === 'ipv4' ? 'ip4' : 'ip6'}/${host}/tcp/${port}/p2p/${peerId}`
  return { multiaddr, family, host, port }
}

/** Over the wire and back. */
function received(packet: Packet | undefined): HeardPacket {
  assert.ok(packet)
  return readPacket(wire.decode(wire.encode(packet)))
}

test('an announcement is read as it was made', () => {
  const addresses = [announced('10.0.0.2'), announced('fe80::1')]
  assert.deepEqual(received(encodeAnnouncement(own, addresses)), {
    kind: 'response',
    peers: [{ name: own, ttlSeconds: 360, texts: addresses.map(({ multiaddr }) => `dnsaddr=${multiaddr}`) }],
    listsService: false,
  })
})

test('an announcement is laid out for every libp2p: one PTR answer, then TXT, SRV and the hosts as additionals', () => {
  const { answers, additionals, questions } = wire.decode(
    wire.encode(encodeAnnouncement(own, [announced('10.0.0.2'), announced('fd00::2')]) ?? {}),
  )
  const target = `${'a'.repeat(32)}.local`
  assert.deepEqual(questions, [])
  assert.deepEqual(
    answers.map(({ type, name }) => [type, name]),
    [['PTR', service]],
  )
  assert.deepEqual(
    additionals.map(({ type, name }) => [type, name]),
    [
      ['TXT', own],
      ['SRV', own],
      ['A', target],
      ['AAAA', target],
    ],
  )
})

test('without an address there is nothing to announce', () => {
  assert.equal(encodeAnnouncement(own, []), undefined)
})

test('an announcement of many addresses stays within one packet, the first ones in it', () => {
  const many = Array.from({ length: 40 }, (_, index) =>
    announced(`2001:db8:1111:2222:3333:4444:5555:${index}`),
  )
  const packet = encodeAnnouncement(own, many)
  assert.ok(packet)
  assert.ok(wire.encode(packet).length <= maximumPacketBytes)
  const heard = received(packet)
  assert.equal(heard.kind === 'response' && heard.peers[0]?.texts[0], `dnsaddr=${many[0]?.multiaddr}`)
  assert.ok(heard.kind === 'response' && (heard.peers[0]?.texts.length ?? 0) >= 5)
})

test('a goodbye names the peer and nothing else, because js-libp2p takes TXT records for a sighting', () => {
  assert.deepEqual(received(encodeGoodbye(own)), {
    kind: 'response',
    peers: [{ name: own, ttlSeconds: 0, texts: [] }],
    listsService: false,
  })
})

test('a query carries its known answers in as few packets as fit, each naming its sender first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 136 }), (count) => {
      const known = Array.from({ length: count }, (_, index) => ({
        name: `${String(index).padStart(32, 'b')}.${service}`,
        ttlSeconds: 200,
      }))
      const packets = encodeQuery(own, known)
      assert.equal(packets.length, Math.max(1, Math.ceil(count / 16)))
      const heard = packets.map(received)
      for (const [index, packet] of packets.entries()) {
        const each = heard[index]
        assert.ok(each?.kind === 'query')
        assert.ok(wire.encode(packet).length <= maximumPacketBytes)
        assert.equal(each.asksForPeers, index === 0)
        assert.equal(each.truncated, index < packets.length - 1)
        assert.equal(each.known[0]?.name, own)
      }
      const all = heard.flatMap((each) => (each.kind === 'query' ? each.known.slice(1) : []))
      assert.deepEqual(all, known)
    }),
    { numRuns: 50 },
  )
})

test('TXT records are read from the answers, where older js-libp2p puts them, and from the additionals', () => {
  const pointer = { name: service, type: 'PTR' as const, ttl: 120, data: own }
  const text = { name: own, type: 'TXT' as const, ttl: 120, data: ['dnsaddr=x'] }
  const expected = {
    kind: 'response',
    peers: [{ name: own, ttlSeconds: 120, texts: ['dnsaddr=x'] }],
    listsService: false,
  }
  assert.deepEqual(received({ type: 'response', answers: [pointer, text] }), expected)
  assert.deepEqual(received({ type: 'response', answers: [pointer], additionals: [text] }), expected)
  assert.deepEqual(received({ type: 'response', answers: [pointer, text], additionals: [text] }), expected)
})

test('a bare name in capitals is read, because that is what rust-libp2p answers with', () => {
  const name = 'YC2KF6SCjgQpWJDWXyK8V9u4kW5S39z9aS65tkkfF5z0nAPRhHylZgrPgWe'
  const heard = received({
    type: 'response',
    answers: [{ name: service, type: 'PTR', ttl: 360, data: name }],
    additionals: [{ name, type: 'TXT', ttl: 360, data: ['dnsaddr=x'] }],
  })
  assert.deepEqual(heard.kind === 'response' && heard.peers, [
    { name: name.toLowerCase(), ttlSeconds: 360, texts: ['dnsaddr=x'] },
  ])
})

test('names that would not survive being sent on are not heard', () => {
  const names = [
    '',
    '.',
    'a b',
    'ä',
    'a.b',
    `x.${service}.evil`,
    `\u0000.${service}`,
    `${'x'.repeat(64)}.${service}`,
  ]
  for (const data of names) {
    const packet = { type: 'response' as const, answers: [{ name: service, type: 'PTR' as const, data }] }
    const heard = readPacket({ ...wire.decode(wire.encode({ type: 'response' })), ...packet })
    assert.deepEqual(heard.kind === 'response' && heard.peers, [], JSON.stringify(data))
  }
})

test('one packet yields a bounded number of peers and texts', () => {
  const pointers = Array.from({ length: 500 }, (_, index) => ({
    name: service,
    type: 'PTR' as const,
    data: `p${index}.${service}`,
  }))
  const texts = Array.from({ length: 500 }, (_, index) => `dnsaddr=${index}`)
  const heard = received({
    type: 'response',
    answers: pointers,
    additionals: [{ name: `p0.${service}`, type: 'TXT', data: texts }],
  })
  assert.ok(heard.kind === 'response')
  assert.equal(heard.peers.length, 32)
  assert.equal(heard.peers[0]?.texts.length, 32)
})

test('anything that decodes as DNS is read without an error, and yields only plain names', () => {
  const label = fc.oneof(fc.constantFrom(service, own, 'x'), fc.string({ maxLength: 20 }))
  const record = fc.record({
    name: label,
    type: fc.constantFrom('PTR', 'TXT', 'A', 'SRV'),
    ttl: fc.nat(),
    data: fc.oneof(label, fc.array(fc.string({ maxLength: 40 }))),
  })
  const packets = fc.record({
    type: fc.constantFrom('query', 'response'),
    flags: fc.nat(65_535),
    questions: fc.array(fc.record({ name: label, type: fc.constantFrom('PTR', 'ANY', 'A') })),
    answers: fc.array(record),
    additionals: fc.array(record),
  })
  fc.assert(
    fc.property(packets, (made) => {
      const decoded = overTheWire(made as Packet)
      if (decoded !== undefined) assertPlain(readPacket(decoded))
    }),
    { numRuns: 2_000 },
  )
})

test('a damaged packet is refused by the decoder or read without an error', () => {
  const [query] = encodeQuery(own, [{ name: `b.${service}`, ttlSeconds: 200 }])
  const good = [query, encodeAnnouncement(own, [announced('10.0.0.2')])].map((packet) =>
    wire.encode(packet ?? {}),
  )
  const damage = fc.record({
    packet: fc.constantFrom(...good),
    changes: fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 8 }),
    length: fc.nat(600),
  })
  fc.assert(
    fc.property(damage, ({ packet, changes, length }) => {
      const bytes = Buffer.from(packet)
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      let decoded
      try {
        decoded = wire.decode(bytes.subarray(0, length))
      } catch {
        return // as multicast-dns does
      }
      assertPlain(readPacket(decoded))
    }),
    { numRuns: 5_000 },
  )
})

/** Undefined for what the generator made and has no form on the wire. */
function overTheWire(packet: Packet): DecodedPacket | undefined {
  try {
    return wire.decode(wire.encode(packet))
  } catch {
    return undefined
  }
}

function assertPlain(heard: HeardPacket): void {
  const names = heard.kind === 'query' ? heard.known : heard.peers
  for (const { name } of names) assert.match(name, /^[a-z0-9_-]{1,63}(\._p2p\._udp\.local)?$/)
}
