import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices, type TestDevice } from '../../device.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import type { Lab, NatKind } from '../lab.ts'
import { RendezvousNode } from '../rendezvous-node.ts'
import { scene, seconds, timed, type Stage } from '../scene.ts'

/** Two devices in different networks, each behind a router, and what stands in the internet between them. */

scene(
  'behind two NATs, with the words and a rendezvous node alone, two devices pair and talk',
  async (stage) => {
    const { alice, bob } = await twoHomes(stage)
    const started = await timed(() => Promise.all([alice.device.up(), bob.device.up()]))
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await connectedBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, bob.device)
    const ping = await alice.device.cli(['ping', 'bob'])
    assert.ok(['direct', 'relayed'].includes(String(ping.lines[0]?.path)))
    stage.saw(`up in ${started.took}, paired in ${paired.took}, ${String(ping.lines[0]?.path)}`)
  },
)

scene('behind two port-preserving NATs the session becomes direct, and outlives the relay', async (stage) => {
  const { alice, bob, nodes } = await twoHomes(stage)
  await Promise.all([alice.device.up(), bob.device.up()])
  await pairDevices(alice.device, bob.device)
  const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
  await Promise.all(nodes.map((node) => node.kill()))
  await talkBothWays(alice.device, bob.device)
  const { address } = await alice.device.waitForState('bob', 'connected')
  assert.match(String(address), /^\/ip4\/203\.0\.113\.\d+\/tcp\/\d+/u, 'the other NAT’s public address')
  stage.saw(`direct ${direct.took} after pairing, at ${String(address).split('/p2p/')[0]}; no relay is left`)
})

scene('behind symmetric NATs the session stays relayed, works, and says so', async (stage) => {
  const { alice, bob } = await twoHomes(stage, { nats: ['symmetric', 'symmetric'] })
  await Promise.all([alice.device.up(), bob.device.up()])
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  await connectedBothWays(alice.device, bob.device)
  // Longer than the attempt at a direct connection takes.
  await wait(7_000)
  await talkBothWays(alice.device, bob.device)
  for (const [one, other] of [
    [alice.device, bob.device],
    [bob.device, alice.device],
  ] as const) {
    const { path, address } = await one.waitForState(other.name, 'connected')
    assert.equal(path, 'relayed')
    assert.match(String(address), /\/p2p-circuit\//u)
    const { lines } = await one.cli(['ping', other.name])
    assert.equal(lines[0]?.path, 'relayed')
  }
  stage.saw(`paired in ${paired.took}; relayed`)
})

scene('of three rendezvous nodes, the first dies before the joiner looks: the others know', async (stage) => {
  const { alice, bob, nodes } = await twoHomes(stage, { rendezvous: 3 })
  await Promise.all([alice.device.up(), bob.device.up()])
  const pairing = alice.device.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code')
  await pairing.progress(
    ({ source, message }) => source === 'internet' && /published to [1-9]/u.test(String(message)),
  )
  await nodes[0]?.kill()
  const joined = await timed(() => bob.device.cli(['join', '-', '--yes'], { input: `${String(words)}\n` }))
  assert.equal(joined.result.code, 0, joined.result.stderr)
  await pairing.waitForEvent('paired')
  await connectedBothWays(alice.device, bob.device)
  await talkBothWays(alice.device, bob.device)
  stage.saw(`joined ${joined.took} after the death`)
})

scene('the joiner is there ten seconds before the initiator', async (stage) => {
  const { alice, bob, home } = await twoHomes(stage)
  await Promise.all([alice.device.up(), bob.device.up()])
  const cable = alice.host.link(home)
  await cable.cut()
  const pairing = alice.device.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code')
  const joining = bob.device.spawnCli(['join', '-', '--yes'])
  joining.end(`${String(words)}\n`)
  await joining.progress(({ source, status }) => source === 'internet' && status === 'ready')
  await wait(10_000)
  assert.ok(joining.process.running)
  await cable.heal()
  const paired = await timed(() => joining.waitForEvent('paired'))
  await pairing.waitForEvent('paired')
  await connectedBothWays(alice.device, bob.device)
  await talkBothWays(alice.device, bob.device)
  stage.saw(`paired ${paired.took} after the initiator's cable was plugged in`)
})

scene('two paired devices both move to other networks, and find each other there', async (stage) => {
  const { alice, bob, internet } = await twoHomes(stage)
  const { lab } = stage
  await Promise.all([alice.device.up(), bob.device.up()])
  await pairDevices(alice.device, bob.device)
  await connectedBothWays(alice.device, bob.device)
  const places = [
    { host: alice.host, name: 'cafe', ipv4: '10.3.0.0/24' },
    { host: bob.host, name: 'hotel', ipv4: '10.4.0.0/24' },
  ]
  const networks = await Promise.all(
    places.map(async ({ name, ipv4, host }) => {
      const lan = await lab.lan(name, { ipv4 })
      await lab.router(`router-${name}`, { inside: lan, outside: internet })
      return { lan, host }
    }),
  )
  await Promise.all(
    networks.map(async ({ lan, host }) => {
      await host.run(['ip', 'link', 'set', 'eth0', 'down'])
      await host.addInterface(lan)
    }),
  )
  const gone = await timed(() =>
    Promise.all([
      alice.device.waitForState('bob', 'disconnected'),
      bob.device.waitForState('alice', 'disconnected'),
    ]),
  )
  const back = await timed(() => connectedBothWays(alice.device, bob.device))
  await talkBothWays(alice.device, bob.device)
  const { path } = await alice.device.waitForState('bob', 'connected')
  stage.saw(`noticed after ${gone.took}, connected again ${back.took} later, ${String(path)}`)
})

scene(
  'unreachable rendezvous nodes do not slow pairing on the local network down',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    await emptyInternet(lab, home)
    const nobody = '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'
    const args = [1, 2, 3].flatMap((n) => ['--rendezvous', `/ip4/198.51.100.${n}/tcp/4111/p2p/${nobody}`])
    const times: Record<'with' | 'without', number[]> = { with: [], without: [] }
    for (let round = 0; round < 3; round++) {
      for (const kind of ['without', 'with'] as const) {
        const options = kind === 'with' ? { args } : {}
        const alice = await device(`alice-${kind}-${round}`, [home], options)
        const bob = await device(`bob-${kind}-${round}`, [home], options)
        await Promise.all([alice.device.up(), bob.device.up()])
        const startedAt = performance.now()
        await pairDevices(alice.device, bob.device)
        times[kind].push(performance.now() - startedAt)
        await Promise.all([alice.device.down(), bob.device.down()])
      }
    }
    const [slow, fast] = [Math.min(...times.with), Math.min(...times.without)]
    saw(`paired in ${seconds(slow)} with, ${seconds(fast)} without: ratio ${(slow / fast).toFixed(2)}`)
    assert.ok(slow < fast * 1.5 + 300, 'not noticeably slower')
  },
)

scene(
  'no DNS and no default route: the local network is enough, with --lan-only',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const args = [
      '--lan-only',
      '--rendezvous',
      '/dns4/meet.example.org/tcp/4111/p2p/12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p',
    ]
    const alice = await device('alice', [home], { args })
    const bob = await device('bob', [home], { args: args.slice(1) })
    assert.equal((await alice.host.run(['ip', 'route', 'show', 'default'])).stdout, '')
    const started = await timed(() => Promise.all([alice.device.up(), bob.device.up()]))
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await connectedBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, bob.device)
    const { path } = await alice.device.waitForState('bob', 'connected')
    assert.equal(path, 'direct')
    saw(`up in ${started.took}, paired in ${paired.took}`)
  },
)

/** Homes with a router each at a public segment, on which there are rendezvous nodes. */
async function twoHomes(
  { lab, device }: Stage,
  {
    nats: [natAtHome, natAtWork] = ['port-preserving', 'port-preserving'],
    rendezvous = 1,
  }: { nats?: [NatKind, NatKind]; rendezvous?: number } = {},
) {
  const internet = await lab.lan('internet', { ipv4: '203.0.113.0/24' })
  const nodes: RendezvousNode[] = []
  for (let index = 0; index < rendezvous; index++) {
    const host = await lab.host(`meet${index}`, [internet])
    nodes.push(
      await RendezvousNode.start(
        host,
        nodes.flatMap(({ address }) => ['--rendezvous', address]),
      ),
    )
  }
  const args = nodes.flatMap(({ address }) => ['--rendezvous', address])
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
  const alice = await device('alice', [home], { args })
  const bob = await device('bob', [work], { args })
  await lab.router('router-home', { inside: home, outside: internet, nat: natAtHome })
  await lab.router('router-work', { inside: work, outside: internet, nat: natAtWork })
  return { internet, nodes, home, work, alice, bob }
}

/** A way out that leads nowhere. */
async function emptyInternet(lab: Lab, home: Awaited<ReturnType<Lab['lan']>>): Promise<void> {
  const internet = await lab.lan('internet', { ipv4: '198.51.100.128/25' })
  await lab.router('router', { inside: home, outside: internet })
}

async function onPath(one: TestDevice, other: TestDevice, path: 'direct' | 'relayed'): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    const seen = [
      await one.waitForState(other.name, 'connected'),
      await other.waitForState(one.name, 'connected'),
    ]
    if (seen.every((device) => device.path === path)) return
    assert.ok(performance.now() < deadline, `not ${path}: ${JSON.stringify(seen)}`)
    await wait(200)
  }
}
