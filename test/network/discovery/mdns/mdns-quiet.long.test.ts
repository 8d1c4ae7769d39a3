import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeGoodbye, maximumPacketBytes } from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import { SimulatedLan } from './simulated-lan.ts'

const minuteMs = 60_000

function crowd(lan: SimulatedLan, size: number, { withinMs }: { withinMs: number }) {
  const nodes = Array.from({ length: size }, (_, index) => lan.join(`peer-${index}`.padEnd(32, 'x')))
  for (const { link } of nodes) lan.clock.after(lan.random() * withinMs, () => link.start())
  return nodes
}

test('a hundred devices that start at once find each other with a bounded number of packets', () => {
  const lan = new SimulatedLan()
  const nodes = crowd(lan, 100, { withinMs: 1_000 })
  lan.clock.advance(2_000)
  for (const { peers } of nodes) assert.equal(peers.sightings().length, 99)
  lan.clock.advance(minuteMs - 2_000)
  assert.ok(lan.sent.length <= 800, `${lan.sent.length} packets in the first minute`)
})

test('a hundred devices on one network send less than one packet a second, and lose nobody', () => {
  const lan = new SimulatedLan()
  const nodes = crowd(lan, 100, { withinMs: 1_000 })
  lan.clock.advance(minuteMs)
  const before = lan.sent.length
  lan.clock.advance(20 * minuteMs)
  const perSecond = (lan.sent.length - before) / (20 * 60)
  assert.ok(perSecond < 1, `${perSecond} packets a second`)
  assert.deepEqual(
    nodes.flatMap(({ lost }) => lost),
    [],
  )
})

test('a newcomer knows a hundred devices after a fifth of a second, for one packet from each', () => {
  const lan = new SimulatedLan()
  crowd(lan, 100, { withinMs: 1_000 })
  lan.clock.advance(minuteMs)
  const before = lan.sent.length
  const newcomer = lan.join('newcomer')
  newcomer.link.start()
  lan.clock.advance(200)
  assert.equal(newcomer.peers.sightings().length, 100)
  assert.ok(lan.sent.length - before <= 100 + 2 + 8, `${lan.sent.length - before} packets`)
})

test('two devices alone find each other within 20 ms, whichever starts first', () => {
  const lan = new SimulatedLan()
  const alice = lan.join('alice')
  alice.link.start()
  lan.clock.advance(300) // less than a second after its announcement
  const bob = lan.join('bob')
  bob.link.start()
  lan.clock.advance(20)
  assert.equal(alice.sightings.length, 1)
  assert.equal(bob.sightings.length, 1)
})

test('a peer whose record a query lists as known does not answer it', () => {
  const lan = new SimulatedLan()
  const { bob } = lan.pair(2_000)
  const answers = () => lan.sent.filter(({ packet }) => packet.type === 'response').length
  const before = answers()
  lan.clock.advance(2 * minuteMs)
  assert.equal(answers(), before)
  bob.link.refresh() // asks afresh: lists nobody
  lan.clock.advance(100)
  assert.equal(answers(), before + 1)
})

test('who hears his own question asked does not ask it again', () => {
  const lan = new SimulatedLan()
  crowd(lan, 20, { withinMs: 10 })
  lan.clock.advance(5 * minuteMs)
  const before = lan.sent.length
  lan.clock.advance(10 * minuteMs)
  const queries = lan.sent.slice(before).filter(({ packet }) => packet.questions.length > 0)
  assert.ok(queries.length >= 7 && queries.length <= 20, `${queries.length} queries in ten minutes`)
})

test('queries of a device alone come ever more rarely', () => {
  const lan = new SimulatedLan()
  lan.join('alice').link.start()
  lan.clock.advance(5 * minuteMs)
  const times = lan.sent.filter(({ packet }) => packet.type === 'query').map(({ atMs }) => atMs)
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  for (const [index, gap] of gaps.entries()) {
    const base = Math.min(64_000, 1_000 * 2 ** index)
    assert.ok(gap >= base && gap <= base * 1.2, `gap ${index}: ${gap} ms`)
  }
  assert.ok(gaps.length >= 8)
})

test('however often it is told to, a device announces itself and asks once a second in the long run', () => {
  const lan = new SimulatedLan()
  const { link } = lan.join('alice')
  link.start()
  for (let step = 0; step < 10_000; step += 10) {
    link.announce()
    link.refresh()
    lan.clock.advance(10)
  }
  const count = (type: string) => lan.sent.filter(({ packet }) => packet.type === type).length
  assert.ok(count('response') <= 10 + 3, `${count('response')} announcements in 10 s`)
  assert.ok(count('query') <= 10 + 3, `${count('query')} queries in 10 s`)
})

test('a flood of questions is answered once a second in the long run', () => {
  const lan = new SimulatedLan()
  lan.join('alice').link.start()
  for (let step = 0; step < 10_000; step += 10) {
    lan.multicast('stranger', { type: 'query', questions: [{ name: '_p2p._udp.local', type: 'PTR' }] })
    lan.clock.advance(10)
  }
  const answers = lan.sent.filter(({ from, packet }) => from === 'alice' && packet.type === 'response')
  assert.ok(answers.length <= 10 + 3, `${answers.length} answers in 10 s`)
})

test('no packet is larger than what every network carries', () => {
  const lan = new SimulatedLan()
  crowd(lan, 120, { withinMs: 1_000 })
  lan.clock.advance(5 * minuteMs)
  const largest = Math.max(...lan.sent.map(({ bytes }) => bytes))
  assert.ok(largest <= maximumPacketBytes, `${largest} bytes`)
})

test('a peer that says goodbye is lost at once; one that falls silent when its records expire', () => {
  const lan = new SimulatedLan()
  const alice = lan.join('alice')
  const bob = lan.join('bob')
  const carol = lan.join('carol')
  for (const { link } of [alice, bob, carol]) link.start()
  lan.clock.advance(5_000)
  bob.link.stop({ goodbye: true })
  carol.link.stop({ goodbye: false })
  lan.clock.advance(10)
  assert.deepEqual(alice.lost, ['bob._p2p._udp.local'])
  lan.clock.advance(6 * minuteMs)
  alice.peers.expire(lan.clock.monotonic())
  assert.deepEqual(alice.lost, ['bob._p2p._udp.local', 'carol._p2p._udp.local'])
})

test('a link that stopped sends nothing more', () => {
  const lan = new SimulatedLan()
  const { link } = lan.join('alice')
  link.start()
  lan.clock.advance(100)
  link.stop({ goodbye: true })
  const before = lan.sent.length
  lan.multicast('stranger', { type: 'query', questions: [{ name: '_p2p._udp.local', type: 'PTR' }] })
  lan.clock.advance(10 * minuteMs)
  assert.equal(lan.sent.length, before + 1)
})

test('of many devices asked which services there are, one answers', () => {
  const lan = new SimulatedLan()
  crowd(lan, 50, { withinMs: 1_000 })
  lan.clock.advance(minuteMs)
  const before = lan.sent.length
  const name = '_services._dns-sd._udp.local'
  lan.multicast('stranger', { type: 'query', questions: [{ name, type: 'PTR' }] })
  lan.clock.advance(200)
  const answers = lan.sent
    .slice(before)
    .filter(({ packet }) => packet.answers.some((each) => each.name === name))
  assert.ok(answers.length >= 1 && answers.length <= 3, `${answers.length} answers`)
})

test("a goodbye for somebody else's name touches nobody but him", () => {
  const lan = new SimulatedLan()
  const { alice } = lan.pair(1_000)
  lan.multicast('stranger', encodeGoodbye('nobody._p2p._udp.local'))
  lan.clock.advance(10)
  assert.deepEqual(alice.lost, [])
})
