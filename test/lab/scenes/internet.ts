import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices } from '../../device.ts'
import { onPath, sessionPaths, twoHomes } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import type { Host, Lab, Lan } from '../lab.ts'
import { scene, seconds, timed } from '../scene.ts'

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

scene(
  'behind two port-preserving NATs the session is or becomes direct, and outlives the relay',
  async (stage) => {
    const { alice, bob, nodes } = await twoHomes(stage)
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
    for (const { device } of [alice, bob]) {
      const paths = sessionPaths(device)
      assert.equal(paths.at(-1), 'direct', `${device.name} is direct now: ${paths.join(', ')}`)
    }
    await Promise.all(nodes.map((node) => node.kill()))
    await talkBothWays(alice.device, bob.device)
    const { address, path } = await alice.device.waitForState('bob', 'connected')
    assert.equal(path, 'direct')
    assert.match(String(address), /^\/ip4\/20\.3\.4\.\d+\/tcp\/\d+/u, 'the other NAT’s public address')
    stage.saw(
      `direct ${direct.took} after pairing, at ${String(address).split('/p2p/')[0]}; no relay is left`,
    )
  },
)

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
    const screen = await one.screen(['devices'])
    assert.match(screen, new RegExp(`^${other.name} +connected +relayed `, 'mu'), 'the person is told, too')
    assert.deepEqual(new Set(sessionPaths(one)), new Set(['relayed']), 'it never was anything else')
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
  // They may be connected anew before either has noticed that the old connection is dead.
  const back = await timed(() => talkBothWays(alice.device, bob.device))
  await connectedBothWays(alice.device, bob.device)
  const { path } = await alice.device.waitForState('bob', 'connected')
  stage.saw(`talk again ${back.took} after both have moved, ${String(path)}`)
})

scene('pairing on the local network does not wait for rendezvous nodes that do not answer', async (stage) => {
  const { lab, device, saw } = stage
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const { address } = await silentInternet(lab, home)
  const args = ['12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p', someoneElse].flatMap((peer) => [
    '--rendezvous',
    `/ip4/${address}/tcp/4111/p2p/${peer}`,
  ])
  const times: Record<'with' | 'without', number[]> = { with: [], without: [] }
  let dialsOutlasted = 0
  for (let round = 0; round < 3; round++) {
    for (const kind of ['without', 'with'] as const) {
      const options = kind === 'with' ? { args } : {}
      const alice = await device(`alice-${kind}-${round}`, [home], options)
      const bob = await device(`bob-${kind}-${round}`, [home], options)
      await Promise.all([alice.device.up(), bob.device.up()])
      const pending = await Promise.all([alice, bob].map(({ host }) => dialsTo(host, address)))
      const startedAt = performance.now()
      await pairDevices(alice.device, bob.device)
      times[kind].push(performance.now() - startedAt)
      const still = await Promise.all([alice, bob].map(({ host }) => dialsTo(host, address)))
      const outlasted = pending.every((dials, side) => dials.some((dial) => still[side]?.includes(dial)))
      if (kind === 'with' && outlasted) dialsOutlasted++
      await Promise.all([alice.device.down(), bob.device.down()])
    }
  }
  assert.ok(dialsOutlasted > 0, 'the dials that were under way before the pairing are under way after it')
  const [slow, fast] = [median(times.with), median(times.without)]
  saw(`medians: paired in ${seconds(slow)} with, ${seconds(fast)} without: ratio ${(slow / fast).toFixed(2)}`)
  saw(`in ${dialsOutlasted} of 3 pairings with them, dials from before were still unanswered at the end`)
})

scene(
  'no DNS and no default route: the local network is enough, with --lan-only',
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [home], { args: ['--lan-only'] })
    const unknown = '/dns4/meet.example.org/tcp/4111/p2p/12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'
    const bob = await device('bob', [home], { args: ['--rendezvous', unknown] })
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

const someoneElse = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

/** A way out at whose end somebody takes every packet and never answers. */
async function silentInternet(lab: Lab, home: Lan): Promise<{ address: string }> {
  const internet = await lab.internet()
  const silent = await lab.host('silent', [internet])
  await silent.firewall({ dropInbound: true })
  await lab.router('router', { inside: home, outside: internet })
  return { address: silent.address(internet) }
}

/** The own address and port of each connection to there that is being waited for. */
async function dialsTo(host: Host, address: string): Promise<string[]> {
  const { code, stdout, stderr } = await host.run(['ss', '-Htn', 'state', 'syn-sent', 'dst', address])
  assert.equal(code, 0, stderr)
  return stdout.split('\n').flatMap((line) => line.trim().split(/\s+/u)[2] ?? [])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
