import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { onPath, sessionPaths } from '../homes.ts'
import type { NatKind } from '../lab.ts'
import { talkBothWays } from '../meeting.ts'
import { publicNodes, whyNoPublicNodes, type PublicNodes } from '../public-nodes.ts'
import { scene as play, timed, type Actor, type Stage } from '../scene.ts'

function scene(title: string, story: (stage: Stage) => Promise<void>): void {
  play(title, story, { obstacle: whyNoPublicNodes })
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
