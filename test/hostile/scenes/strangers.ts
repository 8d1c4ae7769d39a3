import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { RendezvousNode } from '../../lab/rendezvous-node.ts'
import { scene } from '../../lab/scene.ts'
import { collectsGarbage, joinMs, median, pingMs, residentMiBAfter, usageOf, type Usage } from '../measure.ts'
import { StrangerFlooder, type StrangerFlood } from '../stranger-flooder.ts'

/** Longest times amid a flood, in times of those without; below a floor that is the noise of a busy computer. */
const longestJoin = 5
const longestPing = 3
const pingFloorMs = 20
/** Most memory that is still taken half a minute after a flood, beyond what was before: code that was compiled, caches with a bound. */
const keptMiB = 64
/** Time of a scene: half a minute of it for the memory. */
const timeoutMs = 150_000

const floods: { what: StrangerFlood; title: string }[] = [
  { what: 'connections', title: 'connections of one address and one identity, as many as it gets' },
  { what: 'identities', title: 'identities with ten messages of identify each, as many as it can' },
  { what: 'protocols', title: 'unknown protocols, forty on each connection' },
]

for (const { what, title } of floods) {
  scene(
    `${title}: a device goes on`,
    async ({ lab, device, saw }) => {
      const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
      const alice = await device('alice', [home], { env: collectsGarbage })
      const bob = await device('bob', [home])
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
      const { listen = [], pid } = await alice.device.status()
      assert.ok(pid !== undefined)
      const target = listen.find((address) => address.includes(alice.host.address(home))) ?? ''
      const before = usageOf(pid)
      const startedAt = performance.now()
      const flooder = await StrangerFlooder.start(mallory, target, what)
      const dave = await device('dave', [home])
      await dave.device.up()
      const loud = {
        join: await joinMs(alice.device, dave.device),
        ping: await pingMs(bob.device, alice.device),
      }
      const { perSecond } = await flooder.stop()
      const amid = usageOf(pid)
      const seconds = (performance.now() - startedAt) / 1_000
      const afterMiB = await residentMiBAfter(pid, before.residentMiB + keptMiB)
      saw(costs('a device', before, amid, seconds, afterMiB))
      saw(
        `${perSecond} a second; join ${Math.round(quiet.join)} -> ${Math.round(loud.join)} ms, ping ${median(quiet.ping)} -> ${median(loud.ping)} ms`,
      )
      assert.ok(loud.join <= longestJoin * quiet.join, 'a join takes at most five times as long')
      const longestPingMs = longestPing * Math.max(pingFloorMs, median(quiet.ping))
      assert.ok(median(loud.ping) <= longestPingMs, 'a ping takes at most three times as long')
      assert.ok(afterMiB <= before.residentMiB + keptMiB, 'and the memory is given back')
    },
    { timeoutMs },
  )

  scene(
    `${title}: a rendezvous node goes on`,
    async ({ lab, device, saw }) => {
      const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
      const node = await RendezvousNode.start(await lab.host('node', [home]), [], collectsGarbage)
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
        const amid = usageOf(node.pid)
        const seconds = (performance.now() - startedAt) / 1_000
        const afterMiB = await residentMiBAfter(node.pid, before.residentMiB + keptMiB)
        saw(costs('the node', before, amid, seconds, afterMiB))
        saw(`${perSecond} a second; join ${Math.round(quiet)} -> ${Math.round(loud)} ms`)
        assert.ok(loud <= longestJoin * quiet, 'a join takes at most five times as long')
        assert.ok(afterMiB <= before.residentMiB + keptMiB, 'and the memory is given back')
      } finally {
        await node.close()
      }
    },
    { timeoutMs },
  )
}

function costs(who: string, before: Usage, amid: Usage, seconds: number, afterMiB: number): string {
  const share = Math.round(((amid.cpuSeconds - before.cpuSeconds) / seconds) * 100)
  return `${who}: ${share} % of a core, ${before.residentMiB} -> ${amid.residentMiB} MiB, ${afterMiB} afterwards`
}
