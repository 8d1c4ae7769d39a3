import assert from 'node:assert/strict'
import { twoHomes } from '../../lab/homes.ts'
import type { Host, Lan } from '../../lab/lab.ts'
import { scene, timed, type Stage } from '../../lab/scene.ts'
import { ForeignDevice, type ForeignOptions } from '../foreign-device.ts'
import type { ForeignProgram } from '../foreign-program.ts'

/** Over networks, each device on a host of its own: multicast DNS, and what rendezvous nodes are for. */
export function networkScenarios(name: string, program: ForeignProgram | string): void {
  if (typeof program === 'string') return
  const theirs = startOn(program)

  scene(`On one LAN ${name} finds ours by multicast DNS, and joins`, async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const { device: alice } = await device('alice', [home])
    await alice.up()
    await using bob = await theirs(await lab.host('bob', [home]), { name: 'bob', mdns: true })
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const { took } = await timed(async () => {
      await bob.call('join', { words })
      await bob.event('paired')
    })
    await pairing.waitForEvent('paired')
    saw(`paired in ${took}`)
  })

  scene(`On one LAN ours finds ${name} by multicast DNS, and joins`, async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const { device: alice } = await device('alice', [home])
    await using bob = await theirs(await lab.host('bob', [home]), { name: 'bob', mdns: true })
    await alice.up()
    const { words } = await bob.call('invite')
    const { took } = await timed(async () => {
      const joined = await alice.cli(['join', '--yes', '-'], { input: `${words}\n` })
      assert.equal(joined.code, 0, joined.stderr)
    })
    await bob.event('paired')
    saw(`paired in ${took}`)
  })

  scene(`Behind NATs ${name} joins ours by the words alone, over our rendezvous`, async (stage) => {
    const { alice, bob, address, close } = await atTwoHomes(stage)
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const { took } = await timed(async () => {
      await bob.call('join', { words })
      await bob.event('paired', undefined, 30_000)
    })
    await pairing.waitForEvent('paired')
    stage.saw(`paired in ${took}`)
    assert.ok(((await bob.call('libp2pPing', { address })).ms ?? -1) >= 0)
    const { protocols = [] } = await bob.call('identify', { address })
    for (const protocol of ['/spacedock/kad/1.0.0', '/libp2p/circuit/relay/0.2.0/hop', '/ipfs/ping/1.0.0'])
      assert.ok(protocols.includes(protocol), `${protocol} is not among ${protocols.join()}`)
    await close()
  })

  scene(`Behind NATs ours joins ${name} by the words alone, over our rendezvous`, async (stage) => {
    const { alice, bob, close } = await atTwoHomes(stage)
    const { words } = await bob.call('invite')
    const { took } = await timed(async () => {
      const joined = await alice.cli(['join', '--yes', '-'], { input: `${words}\n` })
      assert.equal(joined.code, 0, joined.stderr)
    })
    await bob.event('paired')
    const { path } = await bob.event('connected', undefined, 30_000)
    assert.equal((await alice.cli(['send', 'bob', 'over the relay'])).code, 0)
    assert.equal((await bob.event('message')).body, 'over the relay')
    stage.saw(`paired in ${took}, then ${path}`)
    await close()
  })

  async function atTwoHomes(stage: Stage) {
    const { alice, work, nodes } = await twoHomes(stage)
    const [address = assert.fail()] = nodes.map((node) => node.address)
    await alice.device.up()
    const host = await plugIn(stage, work)
    const bob = await theirs(host, { name: 'bob', rendezvous: [address] })
    return {
      alice: alice.device,
      bob,
      address,
      close: async () => {
        await bob.close()
      },
    }
  }
}

async function plugIn({ lab }: Stage, lan: Lan): Promise<Host> {
  return await lab.host('their-bob', [lan])
}

function startOn(program: ForeignProgram) {
  return async (host: Host, options: ForeignOptions): Promise<ForeignDevice> =>
    await ForeignDevice.start(program, host, { listen: ['0.0.0.0'], ...options })
}
