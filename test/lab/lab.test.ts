import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLab } from './lab.ts'
import { internetRanges, requirePublic } from './public-range.ts'
import { whyNoLab } from './requirements.ts'
import {
  answerUdp,
  listenTcp,
  mappedPorts,
  receiveMulticast,
  sendMulticast,
  tcpReply,
  udpReply,
} from './probes.ts'

/** For answers that must not come: on a slow machine this can hide a fault, never invent one. */
const briefly = { patienceMs: 300 }

describe('a lab', { skip: await whyNoLab() }, () => {
  test('lets two hosts of a LAN talk over IPv4 and IPv6 at once, by TCP and UDP', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24', ipv6: 'fd00:1::/64' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    assert.equal(bob.address(home), '10.1.0.2')
    assert.equal(bob.address(home, 'ipv6'), 'fd00:1::2')
    assert.equal((await bob.run(['ip', '-6', 'address', 'show', 'tentative'])).stdout, '')
    for (const family of ['ipv4', 'ipv6'] as const) {
      await listenTcp(bob, bob.address(home, family), 4000)
      await answerUdp(bob, bob.address(home, family), 4000)
      assert.equal(await tcpReply(alice, bob.address(home, family), 4000), alice.address(home, family))
      assert.equal(
        (await udpReply(alice, bob.address(home, family), 4000))?.address,
        alice.address(home, family),
      )
    }
  })

  test('has LANs with IPv6 alone', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: null, ipv6: 'fd00:6::/64' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    assert.throws(() => alice.address(home), /no ipv4/)
    await listenTcp(bob, bob.address(home, 'ipv6'), 4000)
    assert.equal(await tcpReply(alice, bob.address(home, 'ipv6'), 4000), 'fd00:6::1')
  })

  test('has an internet whose addresses are public, to js-libp2p and to Spacedock', async () => {
    await using lab = await createLab()
    const { ipv4, otherIpv4, ipv6 } = internetRanges
    for (const range of [ipv4, otherIpv4, ipv6]) assert.doesNotThrow(() => requirePublic(range), range)
    const internet = await lab.internet({ ipv4, ipv6 })
    const server = await lab.host('server', [internet])
    assert.equal(server.address(internet), '20.3.4.1')
    assert.equal(server.address(internet, 'ipv6'), '2a02:4780:10::1')
    for (const range of [
      '203.0.113.0/24',
      '198.51.100.0/24',
      '10.9.0.0/24',
      '100.64.0.0/24',
      '192.0.2.0/24',
    ]) {
      await assert.rejects(lab.internet({ ipv4: range }), /no internet/u, range)
    }
    for (const range of ['2001:db8::/64', 'fd00:1::/64']) {
      await assert.rejects(lab.internet({ ipv6: range }), /no internet/u, range)
    }
  })

  test('is connected to nothing else, and its hosts have no default route', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await lab.host('alice', [home])
    const routes = await alice.run(['ip', 'route', 'show'])
    assert.match(routes.stdout, /^10\.1\.0\.0\/24 dev eth0 [^\n]*\n$/)
    const links = await alice.run(['ip', '-oneline', 'link', 'show'])
    assert.equal(links.stdout.trim().split('\n').length, 2, 'lo and eth0')
  })

  test('carries multicast at once, without a default route', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    const receiver = await receiveMulticast(bob, bob.address(home))
    await sendMulticast(alice, alice.address(home), 'hello')
    assert.equal(await receiver.line((line) => line.startsWith('got')), 'got hello')
  })

  test('gives a host an interface on each LAN, and one more later', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
    const cafe = await lab.lan('cafe', { ipv4: '10.3.0.0/24' })
    const alice = await lab.host('alice', [home, work])
    assert.equal(await alice.addInterface(cafe), 'eth2')
    const shown = await alice.run(['node', '--print', 'Object.keys(os.networkInterfaces()).join()'])
    assert.equal(shown.stdout.trim(), 'lo,eth0,eth1,eth2')
    assert.equal(alice.address(cafe), '10.3.0.1')
  })

  test('cuts a cable so that the host sees it, and heals it', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    await answerUdp(bob, bob.address(home), 4000)
    await alice.link(home).cut()
    const cut = await alice.run(['node', '--print', 'Object.keys(os.networkInterfaces()).join()'])
    assert.equal(cut.stdout.trim(), 'lo')
    assert.equal(await udpReply(alice, bob.address(home), 4000, briefly), undefined)
    await alice.link(home).heal()
    assert.equal((await udpReply(alice, bob.address(home), 4000))?.address, '10.1.0.1')
  })

  test('drops packets both ways so that the host does not see it, and heals that', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    const atAlice = await receiveMulticast(alice, alice.address(home))
    const atBob = await receiveMulticast(bob, bob.address(home))
    await bob.link(home).drop()
    const shown = await bob.run(['node', '--print', 'Object.keys(os.networkInterfaces()).join()'])
    assert.equal(shown.stdout.trim(), 'lo,eth0')
    await sendMulticast(alice, alice.address(home), 'lost from alice')
    await sendMulticast(bob, bob.address(home), 'lost from bob')
    await bob.link(home).heal()
    await sendMulticast(alice, alice.address(home), 'from alice')
    await sendMulticast(bob, bob.address(home), 'from bob')
    await atAlice.line((line) => line === 'got from bob')
    await atBob.line((line) => line === 'got from alice')
    assert.ok(!atAlice.stdout.includes('lost from bob'))
    assert.ok(!atBob.stdout.includes('lost from alice'))
  })

  for (const nat of ['none', 'port-preserving', 'symmetric'] as const) {
    test(`has routers whose NAT is ${nat}, as two observers outside see it`, async () => {
      await using lab = await createLab()
      const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
      const internet = await lab.internet()
      const observers = [await lab.host('one', [internet]), await lab.host('two', [internet])]
      const router = await lab.router('router', { inside: home, outside: internet, nat })
      const alice = await lab.host('alice', [home])
      const addresses = observers.map((observer) => observer.address(internet))
      for (const observer of observers) await answerUdp(observer, observer.address(internet), 4000)
      const mappings = await mappedPorts(alice, addresses, 4000)
      const seenAs = nat === 'none' ? alice.address(home) : router.address(internet)
      assert.equal(mappings.length, 8)
      for (const { seen } of mappings)
        assert.deepEqual(
          seen.map(({ address }) => address),
          [seenAs, seenAs],
        )
      const kept = mappings.filter(({ local, seen }) => seen.every(({ port }) => port === local))
      const differing = mappings.filter(({ seen }) => seen[0]?.port !== seen[1]?.port)
      // A random port can be the same one by chance, about once in 60,000.
      if (nat === 'symmetric') assert.ok(kept.length <= 1 && differing.length >= 7)
      else assert.equal(kept.length, 8)
    })
  }

  test('keeps strangers outside of a NAT, and lets them in where there is none', async () => {
    for (const nat of ['none', 'port-preserving'] as const) {
      await using lab = await createLab()
      const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
      const internet = await lab.internet()
      const alice = await lab.host('alice', [home])
      const router = await lab.router('router', { inside: home, outside: internet, nat })
      const stranger = await lab.host('stranger', [internet])
      if (nat !== 'none')
        await stranger.addRoute(internet, { to: '10.1.0.0/24', via: router.address(internet) })
      await answerUdp(alice, alice.address(home), 4000)
      const reply = await udpReply(stranger, alice.address(home), 4000, nat === 'none' ? {} : briefly)
      assert.equal(reply?.address, nat === 'none' ? stranger.address(internet) : undefined)
    }
  })

  test('has host firewalls that drop multicast, or what nobody asked for', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24', ipv6: 'fd00:1::/64' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    const receiver = await receiveMulticast(bob, bob.address(home))
    await answerUdp(bob, bob.address(home), 4000)
    await answerUdp(bob, bob.address(home, 'ipv6'), 4001)
    await bob.firewall({ dropMulticast: true })
    await sendMulticast(alice, alice.address(home), 'unheard')
    assert.notEqual(await udpReply(alice, bob.address(home), 4000), undefined)
    assert.notEqual(await udpReply(alice, bob.address(home, 'ipv6'), 4001), undefined)
    await bob.firewall({ dropInbound: true, allowUdp: [4001] })
    assert.equal(await udpReply(alice, bob.address(home), 4000, briefly), undefined)
    assert.notEqual(await udpReply(alice, bob.address(home, 'ipv6'), 4001), undefined)
    await answerUdp(alice, alice.address(home), 4000)
    assert.notEqual(await udpReply(bob, alice.address(home), 4000), undefined)
    await bob.firewall({})
    await sendMulticast(alice, alice.address(home), 'heard')
    assert.equal(await receiver.line((line) => line.startsWith('got')), 'got heard')
  })

  test('has dead VPNs, which take the default route and swallow everything', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const internet = await lab.internet()
    const server = await lab.host('server', [internet])
    const alice = await lab.host('alice', [home])
    await lab.router('router', { inside: home, outside: internet })
    await answerUdp(server, server.address(internet), 4000)
    assert.notEqual(await udpReply(alice, server.address(internet), 4000), undefined)
    await alice.deadVpn('tun0')
    const shown = await alice.run(['node', '--print', 'os.networkInterfaces().tun0[0].address'])
    assert.equal(shown.stdout.trim(), '10.250.0.2')
    assert.equal(await udpReply(alice, server.address(internet), 4000, briefly), undefined)
    const sent = await alice.run(['ip', '-statistics', 'link', 'show', 'dev', 'tun0'])
    assert.doesNotMatch(sent.stdout, /TX:[^\n]*\n\s+0 /, 'the packets did go there')
    const neighbours = await alice.run(['ip', 'neighbour', 'show', 'dev', 'tun0'])
    assert.equal(neighbours.stdout, '', 'nobody is asked for, so nothing fails for want of an answer')
  })

  test('captures every frame of a LAN, to the last one', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await lab.host('alice', [home])
    const bob = await lab.host('bob', [home])
    await answerUdp(bob, bob.address(home), 4000)
    const stop = await lab.capture(home)
    await udpReply(alice, bob.address(home), 4000, { text: 'unmistakable' })
    const bytes = await stop()
    assert.equal(bytes.readUInt32LE(0), 0xa1b2c3d4, 'pcap, little-endian, microseconds')
    assert.ok(bytes.includes('unmistakable'), 'unicast between two hosts')
    assert.ok(bytes.includes('10.1.0.1'), 'the answer, which is the last frame')
    assert.ok(!bytes.includes(Buffer.from([240, 0, 0, 255])), 'nothing of ours')
  })
})
