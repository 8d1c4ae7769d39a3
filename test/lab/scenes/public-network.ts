import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices } from '../../device.ts'
import { onPath, sessionPaths } from '../homes.ts'
import type { NatKind } from '../lab.ts'
import { talkBothWays } from '../meeting.ts'
import { publicNodes, whyNoPublicNodes, type PublicNodes } from '../public-nodes.ts'
import { scene as play, timed, type Actor, type SceneOptions, type Stage } from '../scene.ts'

function scene(
  title: string,
  story: (stage: Stage) => Promise<void>,
  options: Pick<SceneOptions, 'timeoutMs'> = {},
): void {
  play(title, story, { obstacle: whyNoPublicNodes, ...options })
}

/** Two devices that have nothing in common but twelve words and the public network. */
async function twoStrangers(stage: Stage, nodes: PublicNodes, nat: NatKind) {
  const { lab, device } = stage
  const options = {
    args: ['--dht', 'public', '--log-level', 'debug'],
    config: { dhtBootstrap: nodes.bootstrap },
  }
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
  const alice = await device('alice', [home], options)
  const bob = await device('bob', [work], options)
  await lab.router('router-home', { inside: home, outside: nodes.internet, nat })
  await lab.router('router-work', { inside: work, outside: nodes.internet, nat })
  return { alice, bob }
}

/** Neither the DHT's nodes nor the relays have met the devices: only hosts that nobody knows. */
async function remainUnknown(nodes: PublicNodes, devices: readonly Actor[]): Promise<void> {
  const seen = nodes.seenPeers()
  for (const { device } of devices) {
    const { lines } = await device.cli(['status'])
    const own = String(lines[0]?.['peerId'])
    assert.match(own, /^12D3KooW/u)
    assert.ok(!seen.has(own), `${device.name} has shown itself to the public network`)
  }
}

scene('two devices behind port-preserving NATs pair by the words alone, and talk directly', async (stage) => {
  const nodes = await publicNodes(stage.lab)
  const { alice, bob } = await twoStrangers(stage, nodes, 'port-preserving')
  await Promise.all([alice.device.up(), bob.device.up()])
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
  await talkBothWays(alice.device, bob.device)
  await remainUnknown(nodes, [alice, bob])
  stage.saw(`paired in ${paired.took}, direct ${direct.took} later`)
})

scene('two devices behind symmetric NATs pair, and carry small messages over relays', async (stage) => {
  const nodes = await publicNodes(stage.lab)
  const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric')
  await Promise.all([alice.device.up(), bob.device.up()])
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  await onPath(alice.device, bob.device, 'relayed')
  await talkBothWays(alice.device, bob.device)
  await remainUnknown(nodes, [alice, bob])
  for (const one of [alice, bob]) assert.deepEqual(new Set(sessionPaths(one.device)), new Set(['relayed']))
  stage.saw(`paired in ${paired.took}; relayed`)
})

const relaySeconds = 45

scene(
  'over relays that carry little large messages wait, small ones pass them, and no device is lost',
  async (stage) => {
    const nodes = await publicNodes(stage.lab, { relaySeconds })
    const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric')
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'relayed')
    const startedAt = performance.now()
    const input = 'L'.repeat(200_000)
    const large = await alice.device.cli(['send', 'bob', '-'], { input })
    assert.deepEqual([large.code, large.lines[0]?.event], [0, 'queued'])
    for (let number = 1; number <= 10; number++) {
      const { lines, stderr } = await alice.device.cli(['send', 'bob', `small ${number}`])
      assert.equal(lines[0]?.event, 'delivered', stderr)
    }
    const waiting = await alice.device.cli(['outbox'])
    assert.deepEqual(
      waiting.lines.map(({ id, waitsFor }) => [id, waitsFor]),
      [[large.lines[0]?.id, 'better-path']],
    )
    assert.deepEqual(
      (await alice.device.devices()).map(({ limited }) => limited),
      [true],
    )
    const status = await alice.device.status()
    assert.ok((status['publicNetwork'] as { nodes: number }).nodes > 0)

    // Longer than two relayed connections in a row may live.
    while (performance.now() - startedAt < 2.2 * relaySeconds * 1_000) {
      await bob.device.waitForState('alice', 'connected', { deadlineMs: 1_000 })
      await alice.device.waitForState('bob', 'connected', { deadlineMs: 1_000 })
      await wait(1_000)
    }
    await talkBothWays(alice.device, bob.device)
    for (const { device } of [alice, bob]) assert.doesNotMatch(device.log, /"session.ended"/u)
    const sessions = sessionPaths(alice.device).length
    assert.ok(sessions >= 3 && sessions <= 12, `${sessions} sessions`)
    stage.saw(`${sessions} sessions in ${Math.round((performance.now() - startedAt) / 1_000)} s`)
  },
  { timeoutMs: 240_000 },
)

for (const firewall of [false, true]) {
  const at = firewall ? 'behind firewalls' : 'open to all'
  scene(
    `two devices with global IPv6 addresses, ${at}, pair by the words alone, and talk directly`,
    async (stage) => {
      const nodes = await publicNodes(stage.lab)
      const { lab, device, saw } = stage
      const options = { args: ['--dht', 'public'], config: { dhtBootstrap: nodes.bootstrap } }
      const home = await lab.lan('home', { ipv4: null, ipv6: '2a02:6501::/64' })
      const work = await lab.lan('work', { ipv4: null, ipv6: '2a02:6502::/64' })
      const alice = await device('alice', [home], options)
      const bob = await device('bob', [work], options)
      await lab.router('router-home', { inside: home, outside: nodes.internet, nat: 'none' })
      await lab.router('router-work', { inside: work, outside: nodes.internet, nat: 'none' })
      if (firewall) await Promise.all([alice, bob].map(({ host }) => host.firewall({ dropInbound: true })))
      await Promise.all([alice.device.up(), bob.device.up()])
      const paired = await timed(() => pairDevices(alice.device, bob.device))
      const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
      await talkBothWays(alice.device, bob.device)
      await remainUnknown(nodes, [alice, bob])
      saw(`paired in ${paired.took}, direct ${direct.took} later`)
    },
  )
}
