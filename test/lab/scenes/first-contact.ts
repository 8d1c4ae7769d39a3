import assert from 'node:assert/strict'
import type { OutputLine } from '../../command-output.ts'
import { pairDevices, type TestDevice } from '../../device.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { scene, seconds, timed } from '../scene.ts'

/** Two devices on one LAN that never met, and what may be odd about the LAN or their hosts. */

scene(
  'two hosts on a LAN without a default route find each other by mDNS alone, pair and talk',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home])
    const bob = await device('bob', [home])
    for (const { host } of [alice, bob]) {
      assert.equal((await host.run(['ip', 'route', 'show', 'default'])).stdout, '')
    }
    const started = await timed(() => Promise.all([alice.device.up(), bob.device.up()]))
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await talkBothWays(alice.device, bob.device)
    saw(`two daemons up in ${started.took}; pair and join, as commands, ${paired.took}`)
    saw(handshakeTime(bob.device))
  },
)

scene(
  'a host with three interfaces, of which one is a dead VPN with the default route, pairs on either of the others',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
    const alice = await device('alice', [home, work])
    await alice.host.deadVpn('tun0')
    const route = await alice.host.run(['ip', 'route', 'get', '224.0.0.251'])
    assert.match(route.stdout, /dev tun0/u, 'multicast that just follows the routes is lost')
    const bob = await device('bob', [home])
    const carol = await device('carol', [work])
    await Promise.all([alice.device.up(), bob.device.up(), carol.device.up()])
    const first = await timed(() => pairDevices(alice.device, bob.device))
    const second = await timed(() => pairDevices(carol.device, alice.device))
    await talkBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, carol.device)
    saw(`paired on the first LAN in ${first.took}, on the second in ${second.took}`)
  },
)

for (const { kind, ipv6 } of [
  { kind: 'unique local addresses', ipv6: 'fd00:5::/64' },
  { kind: 'nothing but link-local addresses', ipv6: null },
]) {
  scene(`an IPv6-only LAN with ${kind}: paired, and connected again after a restart`, async (stage) => {
    const { lab, device, saw } = stage
    const home = await lab.lan('home', { ipv4: null, ipv6 })
    // A link-local address does not say through which interface: each host has another one, which comes first.
    const attic = await lab.lan('attic', { ipv4: null })
    const garage = await lab.lan('garage', { ipv4: null })
    const alice = await device('alice', [attic, home])
    const bob = await device('bob', [garage, home])
    const addresses = await alice.host.run(['ip', '-oneline', 'address', 'show', 'dev', 'eth1'])
    assert.ok(!addresses.stdout.includes('inet '), addresses.stdout)
    assert.equal(addresses.stdout.includes('fd00:'), ipv6 !== null)
    await Promise.all([alice.device.up(), bob.device.up()])
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await talkBothWays(alice.device, bob.device)
    await Promise.all([alice.device.down(), bob.device.down()])
    const resumed = await timed(async () => {
      await Promise.all([alice.device.up(), bob.device.up()])
      await connectedBothWays(alice.device, bob.device)
    })
    const { address } = await alice.device.waitForState('bob', 'connected')
    assert.match(String(address), ipv6 === null ? /\/ip6\/fe80:/u : /\/ip6\//u)
    saw(`paired in ${paired.took}; started again and connected in ${resumed.took}`)
  })
}

scene(
  'a host that starts with no network but loopback pairs once it is plugged in, and so it reconnects',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home])
    const bob = await device('bob', [])
    await Promise.all([alice.device.up(), bob.device.up()])
    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const joining = bob.device.spawnCli(['join', '-', '--yes'])
    joining.end(`${String(words)}\n`)
    await joining.progress(({ event }) => event === 'source')
    assert.deepEqual(await bob.device.devices(), [])
    await bob.host.addInterface(home)
    const paired = await timed(() => joining.waitForEvent('paired'))
    await pairing.waitForEvent('paired')
    await talkBothWays(alice.device, bob.device)

    await bob.device.down()
    await alice.device.waitForState('bob', 'disconnected')
    await bob.host.link(home).cut()
    await bob.device.up()
    await bob.device.waitForState('alice', 'disconnected')
    await bob.host.link(home).heal()
    const connected = await timed(() => connectedBothWays(alice.device, bob.device))
    saw(
      `paired ${paired.took} after the cable was plugged in; connected again ${connected.took} after it was`,
    )
  },
)

for (const { who, first } of [
  { who: 'the joiner', first: 'bob' },
  { who: 'the initiator', first: 'alice' },
] as const) {
  scene(`${who} is there first, and waits for the other's host to be plugged in`, async (stage) => {
    const { lab, device, saw } = stage
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home])
    const bob = await device('bob', [home])
    const late = (first === 'bob' ? alice : bob).host.link(home)
    await late.cut()
    await Promise.all([alice.device.up(), bob.device.up()])
    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const joining = bob.device.spawnCli(['join', '-', '--yes'])
    joining.end(`${String(words)}\n`)
    await joining.progress(({ event }) => event === 'source')
    for (const command of [pairing, joining]) assert.ok(command.process.running)
    assert.deepEqual([await alice.device.devices(), await bob.device.devices()], [[], []])
    await late.heal()
    const paired = await timed(() => joining.waitForEvent('paired'))
    await pairing.waitForEvent('paired')
    await connectedBothWays(alice.device, bob.device)
    saw(`paired ${paired.took} after the cable was plugged in`)
  })
}

scene(
  'where a firewall blocks multicast, pair and join say so, and an address given by hand works',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home])
    const bob = await device('bob', [home])
    for (const { host } of [alice, bob]) await host.firewall({ dropMulticast: true })
    await Promise.all([alice.device.up(), bob.device.up()])

    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const input = `${String(words)}\n`
    const told = await timed(async () => {
      await pairing.progress(blocked)
      const alone = bob.device.spawnCli(['join', '-', '--yes', '--timeout', '4'])
      alone.end(input)
      await alone.progress(blocked)
      const { code, stderr } = await alone.finished()
      assert.equal(code, 4, stderr)
      assert.match(stderr, /"code":"not-found"/u)
      assert.match(stderr, /--peer/u, 'the way out is named')
    })
    const { listen = [] } = await alice.device.status()
    const given = listen.find((address) => address.includes(`/${alice.host.address(home)}/`)) ?? ''
    const joined = await timed(() => bob.device.cli(['join', '-', '--yes', '--peer', given], { input }))
    assert.equal(joined.result.code, 0, joined.result.stderr)
    await pairing.waitForEvent('paired')
    await talkBothWays(alice.device, bob.device)
    saw(`both said so and the search ended after ${told.took}; with --peer paired in ${joined.took}`)
  },
)

/** A line of progress that says that multicast does not get through. */
function blocked({ source, status }: OutputLine): boolean {
  return source === 'local-network' && status === 'unavailable'
}

/** By the joiner's log: from the start of the search to the last word. */
function handshakeTime(joiner: TestDevice): string {
  const phases = joiner.log
    .split('\n')
    .filter((line) => line.includes('"pairing.phase"'))
    .map((line) => JSON.parse(line) as { time: string; to: string })
  const at = (phase: string): number => Date.parse(phases.find(({ to }) => to === phase)?.time ?? '')
  return `challenge to paired ${seconds(at('paired') - at('responding'))}`
}
