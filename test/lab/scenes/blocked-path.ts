import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { onPath, sessionPaths, twoHomes } from '../homes.ts'
import { MessageFlow } from '../message-flow.ts'
import { scene, timed } from '../scene.ts'

scene(
  'a firewall begins to block the direct path: the relay carries on, until it opens again',
  async (stage) => {
    const { alice, bob, routers, internet } = await twoHomes(stage)
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'direct')
    const flows = [new MessageFlow(alice.device, bob.device), new MessageFlow(bob.device, alice.device)]
    const flowing = (): Promise<void[]> => Promise.all(flows.map((flow) => flow.delivered()))
    await flowing()

    await routers.home.blockForwarding([routers.work.address(internet)])
    const fellBack = await timed(() => onPath(alice.device, bob.device, 'relayed'))
    const overRelay = await timed(flowing)
    for (const [one, other] of [
      [alice.device, 'bob'],
      [bob.device, 'alice'],
    ] as const) {
      const { path, address } = await one.waitForState(other, 'connected')
      assert.equal(path, 'relayed')
      assert.match(String(address), /\/p2p-circuit\//u)
    }

    await routers.home.blockForwarding([])
    const returned = await timed(() => onPath(alice.device, bob.device, 'direct', { deadlineMs: 120_000 }))
    await flowing()
    const results = await Promise.all(flows.map((flow) => flow.stop()))
    assert.ok(sessionPaths(alice.device).join(' ').endsWith('relayed direct'), 'no third way between')
    stage.saw(`relayed ${fellBack.took} after the block, a message each way ${overRelay.took} later`)
    stage.saw(`direct again ${returned.took} after it opened`)
    stage.saw(results.map(({ sent, queued }) => `${sent} sent, ${queued} of them queued`).join('; '))
  },
  { timeoutMs: 600_000 },
)
