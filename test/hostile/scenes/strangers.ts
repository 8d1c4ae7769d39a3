import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { RendezvousNode } from '../../lab/rendezvous-node.ts'
import { scene } from '../../lab/scene.ts'
import { joinMs, median, pingMs, usageOf, usageOfDaemon, type Usage } from '../measure.ts'
import { StrangerFlooder, type StrangerFlood } from '../stranger-flooder.ts'

/** Longest times amid a flood, in times of those without; below a floor that is the noise of a busy computer. */
const longestJoin = 5
const longestPing = 3
const pingFloorMs = 20

const floods: { what: StrangerFlood; title: string }[] = [
  { what: 'connections', title: 'connections of one address and one identity, as many as it gets' },
  { what: 'identities', title: 'identities with ten messages of identify each, as many as it can' },
  { what: 'protocols', title: 'unknown protocols, forty on each connection' },
]

for (const { what, title } of floods) {
  scene(`${title}: a device goes on`, async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const [alice, bob] = [await device('alice', [home]), await device('bob', [home])]
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await bob.device.waitForState('alice', 'connected')
    const carol = await device('carol', [home])
    await carol.device.up()
    const quiet = {
      join: await joinMs(alice.device, carol.device),
      ping: await pingMs(bob.device, alice.device),
    }
    await carol.device.down()

    const mallory = await lab.host('mallory', [home])
    const { listen = [] } = await alice.device.status()
    const target = listen.find((address) => address.includes(alice.host.address(home))) ?? ''
    const before = await usageOfDaemon(alice.device)
    const startedAt = performance.now()
    const flooder = await StrangerFlooder.start(mallory, target, what)
    const dave = await device('dave', [home])
    await dave.device.up()
    const loud = {
      join: await joinMs(alice.device, dave.device),
      ping: await pingMs(bob.device, alice.device),
    }
    const { perSecond } = await flooder.stop()
    saw(costs('a device', before, await usageOfDaemon(alice.device), startedAt))
    saw(
      `${perSecond} a second; join ${Math.round(quiet.join)} -> ${Math.round(loud.join)} ms, ping ${median(quiet.ping)} -> ${median(loud.ping)} ms`,
    )
    assert.ok(loud.join <= longestJoin * quiet.join, 'a join takes at most five times as long')
    const longestPingMs = longestPing * Math.max(pingFloorMs, median(quiet.ping))
    assert.ok(median(loud.ping) <= longestPingMs, 'a ping takes at most three times as long')
  })

  scene(`${title}: a rendezvous node goes on`, async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const node = await RendezvousNode.start(await lab.host('node', [home]))
    try {
      const args = ['--mdns', 'off', '--rendezvous', node.address]
      const alice = await device('alice', [home], { args })
      const bob = await device('bob', [home], { args })
      await Promise.all([alice.device.up(), bob.device.up()])
      const quiet = await joinMs(alice.device, bob.device)
      const mallory = await lab.host('mallory', [home])
      const before = usageOf(node.pid)
      const startedAt = performance.now()
      const flooder = await StrangerFlooder.start(mallory, node.address, what)
      const carol = await device('carol', [home], { args })
      await carol.device.up()
      const loud = await joinMs(alice.device, carol.device)
      const { perSecond } = await flooder.stop()
      saw(costs('the node', before, usageOf(node.pid), startedAt))
      saw(`${perSecond} a second; join ${Math.round(quiet)} -> ${Math.round(loud)} ms`)
      assert.ok(loud <= longestJoin * quiet, 'a join takes at most five times as long')
    } finally {
      await node.close()
    }
  })
}

function costs(who: string, before: Usage, after: Usage, startedAt: number): string {
  const seconds = (performance.now() - startedAt) / 1_000
  const share = Math.round(((after.cpuSeconds - before.cpuSeconds) / seconds) * 100)
  return `${who}: ${share} % of a core, ${before.residentMiB} -> ${after.residentMiB} MiB`
}
