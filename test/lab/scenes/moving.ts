import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { onPath, twoHomes } from '../homes.ts'
import { connectedBothWays } from '../meeting.ts'
import { MessageFlow } from '../message-flow.ts'
import { scene, seconds, timed } from '../scene.ts'

/** A laptop whose cable is pulled out of one network and plugged into another, in the middle of a conversation. */

scene(
  'a laptop moves to another network while messages flow, and they flow on',
  async (stage) => {
    const { alice, bob, work, internet } = await twoHomes(stage)
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'direct')
    const cafe = await stage.lab.lan('cafe', { ipv4: '10.3.0.0/24' })
    await stage.lab.router('router-cafe', { inside: cafe, outside: internet })
    const flows = [new MessageFlow(alice.device, bob.device), new MessageFlow(bob.device, alice.device)]
    await Promise.all(flows.map((flow) => flow.delivered()))

    await bob.host.move(work, cafe)
    const pluggedAt = performance.now()
    const resumed = await Promise.all(
      flows.map(async (flow) => {
        await flow.delivered()
        return seconds(performance.now() - pluggedAt)
      }),
    )
    const { path } = await alice.device.waitForState('bob', 'connected')
    const results = await Promise.all(flows.map((flow) => flow.stop()))
    stage.saw(
      `to it and from it, a message arrived ${resumed.join(' and ')} after it was plugged in, ${String(path)}`,
    )
    stage.saw(results.map(({ sent, queued }) => `${sent} sent, ${queued} of them queued`).join('; '))
  },
  { timeoutMs: 600_000 },
)

scene(
  'a laptop moves to another network of a device that is in both, and finds it there',
  async (stage) => {
    const { lab, device, saw } = stage
    const cellar = await lab.lan('cellar', { ipv4: '10.1.0.0/24' })
    const attic = await lab.lan('attic', { ipv4: '10.2.0.0/24' })
    const alice = await device('alice', [cellar, attic])
    const bob = await device('bob', [cellar])
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await connectedBothWays(alice.device, bob.device)
    const flow = new MessageFlow(bob.device, alice.device)
    await flow.delivered()
    await bob.host.move(cellar, attic)
    // Before it has an address of the new network, its link-local one leads there.
    const at = ['/ip4/10.2.0.', '/ip6zone/', '/ip6/fe80:']
    const back = await timed(() => alice.device.waitForState('bob', 'connected', { at }))
    const resumed = await timed(() => flow.delivered())
    const { path, address } = await bob.device.waitForState('alice', 'connected')
    assert.equal(path, 'direct')
    assert.match(String(address), /^\/ip4\/10\.2\.0\.|^\/ip6(?:zone\/|\/fe80:)/u)
    const { sent, queued } = await flow.stop()
    saw(
      `connected in the new network ${back.took} after it was plugged in, the next message ${resumed.took} later`,
    )
    saw(`${sent} sent, ${queued} of them queued`)
  },
  { timeoutMs: 600_000 },
)
