import assert from 'node:assert/strict'
import { pairDevices, type TestDevice } from '../../device.ts'
import { onPath, twoHomes } from '../homes.ts'
import { talkBothWays } from '../meeting.ts'
import type { Host, Lab, Lan } from '../lab.ts'
import { internetRanges } from '../public-range.ts'
import { RendezvousNode } from '../rendezvous-node.ts'
import { scene, timed } from '../scene.ts'
import { toldToStranger } from '../stranger.ts'
import { upnpRouter } from '../upnp-router.ts'

/** One scene for each class of addresses that a device can have: what it shows, what it tells whom, and that it pairs. */

scene('public IPv4 on the interface: shown, in the code, and dialled from behind a NAT', async (stage) => {
  const { lab, device, saw } = stage
  const internet = await lab.internet()
  const office = await lab.lan('office', { ipv4: '10.9.0.0/24' })
  const node = await meetingPoint(lab, internet)
  assert.deepEqual(hosts(node.addresses), ['/ip4/20.3.4.1'])
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const args = ['--rendezvous', node.address]
  const server = await device('server', [internet, office], { args })
  const laptop = await device('laptop', [home], { args })
  await lab.router('router', { inside: home, outside: internet })
  await upAtRelay(server, laptop)
  assert.deepEqual(hosts(await shown(server.device)), [
    '/ip4/20.3.4.2',
    '/ip4/20.3.4.1/p2p-circuit',
    '/ip4/10.9.0.1',
  ])
  assert.match(
    await codeUri(server.device),
    /^[^?]+\?peer=\/ip4\/20\.3\.4\.2\/tcp\//u,
    'the first in the code',
  )

  const paired = await timed(() => pairDevices(server.device, laptop.device))
  await onPath(server.device, laptop.device, 'direct')
  await talkBothWays(server.device, laptop.device)

  const [address = ''] = await shown(server.device)
  const stranger = await lab.host('stranger', [internet])
  const colleague = await lab.host('colleague', [office])
  assert.deepEqual(hosts(await toldToStranger(stranger, address)), [], 'nothing of where else it is')
  const atOffice = address.replace('20.3.4.2', '10.9.0.1')
  assert.deepEqual(hosts(await toldToStranger(colleague, atOffice)), [])
  saw(`paired in ${paired.took}`)
})

scene('private behind NATs: relayed addresses first, and the home’s own for those at home', async (stage) => {
  const { alice, bob } = await twoHomes(stage)
  await upAtRelay(alice, bob)
  const own = ['/ip4/20.3.4.1/p2p-circuit', '/ip4/10.1.0.1']
  assert.deepEqual(hosts(await shown(alice.device)), own)
  assert.deepEqual(hosts(peersOf(await codeUri(alice.device))), own)
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  await onPath(alice.device, bob.device, 'direct')
  for (const { device } of [alice, bob])
    assert.equal(hosts(await shown(device))[0], own[0], 'the relay stays')
  stage.saw(`paired in ${paired.took}`)
})

scene(
  'shared: behind a home’s NAT and the provider’s, two customers and a third without a router pair',
  async (stage) => {
    const { lab, device, saw } = stage
    const internet = await lab.internet()
    const node = await meetingPoint(lab, internet)
    const carrier = await lab.lan('carrier', { ipv4: '100.64.0.0/24' })
    await lab.router('carrier-grade', { inside: carrier, outside: internet })
    const args = ['--rendezvous', node.address]
    const { alice, bob } = await twoHomes(stage, { internet: carrier, rendezvous: 0, more: [node.address] })
    const carol = await device('carol', [carrier], { args })
    await upAtRelay(alice, bob, carol)
    const circuit = '/ip4/20.3.4.1/p2p-circuit'
    assert.deepEqual(hosts(await shown(alice.device)), [circuit, '/ip4/10.1.0.1'])
    const own = hosts(await shown(carol.device))
    assert.deepEqual(own, [circuit, `/ip4/${carol.host.address(carrier)}`])
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    // Both have one public address, the provider's, and its NAT leads nobody back in: the relay stays.
    await talkBothWays(alice.device, bob.device)
    const { path } = await alice.device.waitForState('bob', 'connected')
    const withCarol = await timed(() => pairDevices(carol.device, alice.device))
    const { address } = await alice.device.waitForState('carol', 'connected', { at: '/ip4/100.64.0.' })
    saw(
      `paired in ${paired.took}, ${String(path)}; with the third in ${withCarol.took}, at ${String(address).split('/p2p/')[0]}`,
    )
  },
)

scene(
  'unique local IPv6 alone: shown, in the code, and enough for a person’s --peer',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv6: 'fd00:1::/64' })
    const alice = await device('alice', [home], { args: ['--mdns', 'off'] })
    const bob = await device('bob', [home], { args: ['--mdns', 'off'] })
    await Promise.all([alice.device.up(), bob.device.up()])
    assert.deepEqual(hosts(await shown(alice.device)), ['/ip6/fd00:1::1'])
    assert.deepEqual(hosts(peersOf(await codeUri(alice.device))), ['/ip6/fd00:1::1'])
    const [address = ''] = await shown(alice.device)
    const paired = await timed(() => pairDevices(alice.device, bob.device, { joinArgs: ['--peer', address] }))
    await talkBothWays(alice.device, bob.device)
    saw(`paired in ${paired.took}`)
  },
)

scene(
  'global IPv6 behind firewalls that let nobody in: shown, told, and the words are enough',
  async (stage) => {
    const { lab, device, saw } = stage
    const internet = await lab.internet({ ipv4: internetRanges.ipv4, ipv6: internetRanges.ipv6 })
    const node = await meetingPoint(lab, internet)
    assert.deepEqual(hosts(node.addresses), ['/ip4/20.3.4.1', '/ip6/2a02:4780:10::1'])
    const args = ['--rendezvous', node.addressIn('ip6')]
    const home = await lab.lan('home', { ipv6: '2a02:4780:20::/64' })
    const work = await lab.lan('work', { ipv6: '2a02:4780:21::/64' })
    const alice = await device('alice', [home], { args })
    const bob = await device('bob', [work], { args })
    for (const inside of [home, work]) {
      await closeToOutside(
        await lab.router(`router-${inside.name}`, { inside, outside: internet, nat: 'none' }),
      )
    }
    await upAtRelay(alice, bob)
    const own = ['/ip6/2a02:4780:20::1', '/ip6/2a02:4780:10::1/p2p-circuit']
    assert.deepEqual(hosts(await shown(alice.device)), own)
    assert.deepEqual(hosts(peersOf(await codeUri(alice.device))), own)
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await talkBothWays(alice.device, bob.device)
    const { path } = await alice.device.waitForState('bob', 'connected')
    saw(`paired in ${paired.took}; ${String(path)} at the end`)
  },
)

scene(
  'UPnP: the router passes connections on, its address is shown, and goes with the device',
  async (stage) => {
    const { lab, device, saw } = stage
    const internet = await lab.internet()
    const node = await meetingPoint(lab, internet)
    const args = ['--rendezvous', node.address]
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
    const alice = await device('alice', [home], { args })
    const bob = await device('bob', [work], { args })
    const { router, mappings } = await upnpRouter(lab, { inside: home, outside: internet })
    // Through this one no hole can be punched: what is direct goes over the mapped port.
    await lab.router('router-work', { inside: work, outside: internet, nat: 'symmetric' })
    await upAtRelay(alice, bob)
    const outer = `/ip4/${router.address(internet)}`
    const mapped = await timed(() => shownSoon(alice.device, outer))
    assert.deepEqual(hosts(mapped.result), [outer, '/ip4/20.3.4.1/p2p-circuit', '/ip4/10.1.0.1'])
    assert.equal((await mappings()).length, 1)
    assert.deepEqual(
      hosts(await shown(bob.device)),
      ['/ip4/20.3.4.1/p2p-circuit', '/ip4/10.2.0.1'],
      'no UPnP at work',
    )
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await onPath(alice.device, bob.device, 'direct')
    const { address } = await bob.device.waitForState('alice', 'connected')
    assert.ok(String(address).startsWith(`${outer}/tcp/`), String(address))
    await alice.device.down()
    assert.deepEqual(await mappings(), [], 'the router has forgotten the port')

    await alice.device.up({ args: ['--port-mapping', 'off'] })
    await alice.device.waitForState('bob', 'connected')
    assert.deepEqual(await mappings(), [], 'and is not asked again')
    saw(`mapped after ${mapped.took}, paired in ${paired.took}, direct at the router's address`)
  },
)

scene(
  'a forwarded port: announced by hand, or learnt from a paired device that came in by it',
  async (stage) => {
    const { lab, device, saw } = stage
    const internet = await lab.internet()
    const node = await meetingPoint(lab, internet)
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home], { args: ['--rendezvous', node.address, '--port', '24001'] })
    const bob = await device('bob', [internet], { args: ['--rendezvous', node.address] })
    const carol = await device('carol', [internet])
    const router = await lab.router('router', { inside: home, outside: internet })
    await forward(router, { port: 24_001, to: alice.host.address(home) })
    const outer = `/ip4/${router.address(internet)}`
    await upAtRelay(alice, bob)
    const peer = String((await alice.device.status()).peerId)
    await pairDevices(alice.device, bob.device)
    assert.ok(!hosts(await shown(alice.device)).includes(outer), 'nobody has come in by it')
    const told = await toldToStranger(bob.host, `${outer}/tcp/24001/p2p/${peer}`)
    assert.deepEqual(hosts(told), [])
    assert.ok(!hosts(await shown(alice.device)).includes(outer), 'one stranger is not believed')

    await alice.device.down()
    await alice.device.up({ args: ['--announce', `${outer}/tcp/24001`] })
    assert.equal(hosts(await shown(alice.device))[0], outer)
    await bob.device.waitForState('alice', 'connected')
    await alice.device.down()
    await alice.device.up({ args: ['--announce', 'none'] })
    assert.ok(!hosts(await shown(alice.device)).includes(outer), 'Bob has other ways')

    // Carol knows no other way than the one that a person has told her, and nobody gets in to her.
    await carol.host.firewall({ dropInbound: true })
    await carol.device.up()
    await pairDevices(alice.device, carol.device, {
      joinArgs: ['--peer', `${outer}/tcp/24001/p2p/${peer}`],
    })
    await carol.device.down()
    await carol.device.up()
    const learnt = await timed(() => shownSoon(alice.device, outer))
    saw(`learnt from the paired device ${learnt.took} after its start`)
  },
)

async function meetingPoint(lab: Lab, internet: Lan): Promise<RendezvousNode> {
  return RendezvousNode.start(await lab.host('meet', [internet]))
}

async function shown(device: TestDevice): Promise<string[]> {
  const status: { listen?: string[] } = await device.status()
  return status.listen ?? []
}

/** Starts them; resolves when each has its place at the relay. */
async function upAtRelay(...devices: readonly { device: TestDevice }[]): Promise<void> {
  await Promise.all(devices.map(({ device }) => device.up()))
  await Promise.all(devices.map(({ device }) => device.logged('relay.reserved')))
}

async function shownSoon(device: TestDevice, host: string): Promise<string[]> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const addresses = await shown(device)
    if (hosts(addresses).includes(host)) return addresses
    assert.ok(performance.now() < deadline, `${host} is not among ${addresses.join(', ')}`)
  }
}

async function codeUri(device: TestDevice): Promise<string> {
  const pairing = device.spawnCli(['pair', '--yes'])
  const { uri } = await pairing.waitForEvent('code')
  await pairing.kill()
  return decodeURIComponent(String(uri))
}

function peersOf(uri: string): string[] {
  return [...uri.matchAll(/peer=([^&]+)/gu)].map((match) => match[1] ?? '')
}

/** `/ip4/20.3.4.5/tcp/1/p2p/12D3...` -> `/ip4/20.3.4.5`, relayed ones with `/p2p-circuit` at their end. */
function hosts(addresses: readonly string[]): string[] {
  return addresses.map((address) => {
    const [, family = '', host = ''] = address.split('/')
    return `/${family}/${host}${address.includes('/p2p-circuit') ? '/p2p-circuit' : ''}`
  })
}

/** A router without NAT that passes on what is asked for from inside, and nothing else: what most have for IPv6. */
async function closeToOutside(router: Host): Promise<void> {
  await load(
    router,
    `table inet closed {
      chain forward {
        type filter hook forward priority 0
        iifname "eth1" ct state != { established, related } drop
      }
    }`,
  )
}

async function forward(router: Host, { port, to }: { port: number; to: string }): Promise<void> {
  await load(
    router,
    `table inet forwarded {
      chain prerouting {
        type nat hook prerouting priority dstnat
        iifname "eth1" tcp dport ${port} dnat ip to ${to}:${port}
      }
    }
    insert rule inet router forward iifname "eth1" ct status dnat accept`,
  )
}

async function load(router: Host, rules: string): Promise<void> {
  const { code, stderr } = await router.run(['nft', '-f', '-'], { input: rules })
  assert.equal(code, 0, stderr)
}
