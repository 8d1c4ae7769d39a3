import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { heardAddresses } from '../../../../src/network/discovery/mdns/mdns-addresses.ts'
import { isMarkedFor, OwnMarks, readMarks } from '../../../../src/network/discovery/mdns/mdns-marks.ts'
import type { HeardMarks } from '../../../../src/network/discovery/mdns/mdns-marks.ts'
import { onLink, type UsableInterface } from '../../../../src/network/interfaces.ts'
import type { MarkedPairing } from '../../../../src/pairing/announcement-mark.ts'
import { deriveCodeKeys } from '../../../../src/pairing/key-schedule.ts'
import { suite1 } from '../../../../src/pairing/suite.ts'
import { asPeer } from '../../../peers.ts'
import { bytes, vectors } from '../../../vectors.ts'

const eth0: UsableInterface = {
  name: 'eth0',
  ipv4: ['192.168.1.2'],
  ipv6: [],
  subnets: ['192.168.1.2/24'],
  zone: 'eth0',
  loopback: false,
  virtual: false,
}
const alice = asPeer('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')
const addresses = [`/ip4/192.168.1.20/tcp/1/p2p/${alice}`, `/ip6/fe80::1/tcp/1/p2p/${alice}`]

function pairing(role: MarkedPairing['role'], key = randomBytes(32)): MarkedPairing {
  return { key, role }
}

/** The marks as a reader has them. */
function heard(marks: OwnMarks, said: readonly string[] = addresses): HeardMarks | null {
  return readMarks([...said, marks.text(said)], { peer: alice, addresses: said })
}

test('the vectors of announcements are made, and known by the other device of the code', () => {
  const all = vectors('announcements.json')
  assert.ok(all.length >= 4)
  for (const { entropy, announcementKey, role, peerId, strings } of all) {
    const { announcementKey: key } = deriveCodeKeys(suite1, bytes(entropy))
    assert.deepEqual(key, bytes(announcementKey))
    const said = heardAddresses(strings, eth0, onLink(eth0))?.said ?? []
    const marks = readMarks(strings, { peer: asPeer(peerId), addresses: said })
    const other = role === 'initiator' ? 'joiner' : 'initiator'
    assert.ok(isMarkedFor(marks, { key, role: other }))
    assert.ok(!isMarkedFor(marks, { key, role }), 'not by a device of the same role')
  }
})

test('a mark is known by the other role of its code, and nobody else; after the pairing by nobody', () => {
  const marks = new OwnMarks(alice)
  const mine = pairing('initiator')
  marks.add(mine)
  assert.ok(isMarkedFor(heard(marks), pairing('joiner', Buffer.from(mine.key))))
  assert.ok(!isMarkedFor(heard(marks), mine))
  assert.ok(!isMarkedFor(heard(marks), pairing('joiner')))
  marks.delete(mine)
  assert.ok(!isMarkedFor(heard(marks), pairing('joiner', Buffer.from(mine.key))))
})

test('threat 44: a mark is worth nothing for another peer, or with another address', () => {
  const marks = new OwnMarks(alice)
  const mine = pairing('joiner')
  marks.add(mine)
  const right = heard(marks)
  const reader = pairing('initiator', Buffer.from(mine.key))
  assert.ok(right !== null && isMarkedFor(right, reader))
  assert.ok(
    !isMarkedFor({ ...right, peer: asPeer('12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa') }, reader),
  )
  assert.ok(!isMarkedFor({ ...right, addresses: [...addresses, '/ip4/192.168.1.66/tcp/1'] }, reader))
  assert.ok(!isMarkedFor({ ...right, addresses: addresses.slice(1) }, reader))
})

test('nobody can tell from the marks whether a pairing runs: as many, as long, and the same until one begins or ends', () => {
  const marks = new OwnMarks(alice)
  const idle = marks.text(addresses)
  assert.equal(marks.text(addresses), idle)
  const codes = [pairing('initiator'), pairing('joiner')]
  for (const code of codes) marks.add(code)
  const busy = marks.text(addresses)
  assert.equal(marks.text(addresses), busy)
  assert.equal(busy.length, idle.length)
  for (const text of [idle, busy]) {
    const { marks: found = [] } = readMarks([text], { peer: alice, addresses }) ?? {}
    assert.equal(new Set(found.map((mark) => Buffer.from(mark).toString('hex'))).size, 4)
  }
  for (const code of codes) marks.delete(code)
  assert.notEqual(marks.text(addresses), idle)
})

test('of more codes than there are marks, the newest are marked', () => {
  const marks = new OwnMarks(alice)
  const codes = Array.from({ length: 6 }, () => pairing('joiner'))
  for (const code of codes) marks.add(code)
  const known = codes.map(({ key }) => isMarkedFor(heard(marks), { key, role: 'initiator' }))
  assert.deepEqual(known, [false, false, true, true, true, true])
})

test('a string of another length, or none, is no mark', () => {
  for (const texts of [[], ['spacedock='], ['spacedock=AAAA'], [`spacedock=${'!'.repeat(107)}`]]) {
    assert.equal(readMarks(texts, { peer: alice, addresses }), null)
  }
})
