import assert from 'node:assert/strict'
import type { TestDevice } from '../../device.ts'
import { twoHomes } from '../../lab/homes.ts'
import type { Host, LanOptions } from '../../lab/lab.ts'
import { RendezvousNode } from '../../lab/rendezvous-node.ts'
import { scene, timed, type Stage as Scene } from '../../lab/scene.ts'
import { ForeignDevice, type ForeignOptions } from '../foreign-device.ts'
import type { ForeignProgram } from '../foreign-program.ts'

interface Stage extends Scene {
  /** A device of the foreign program on this host. */
  theirs: (host: Host, options?: Partial<ForeignOptions>) => Promise<ForeignDevice>
}

interface Couple {
  alice: TestDevice
  bob: ForeignDevice
  saw: (text: string) => void
}

/** On networks of network namespaces, each device on a host of its own: how devices find each other that know nothing of each other. */
export function networkScenarios(name: string, program: ForeignProgram | string): void {
  const lans: Record<string, LanOptions> = {
    IPv4: { ipv4: '10.1.0.0/24' },
    'IPv4 and IPv6': { ipv4: '10.1.0.0/24', ipv6: 'fd00:1::/64' },
  }
  for (const [kind, options] of Object.entries(lans)) {
    scenario(`theirs joins ours, by multicast DNS, ${kind}`, async (stage) => {
      const couple = await onLan(stage, options)
      await theirsJoins(couple)
      await meet(couple)
    })

    scenario(`ours joins theirs, by multicast DNS, ${kind}`, async (stage) => {
      const couple = await onLan(stage, options)
      await oursJoins(couple)
      await meet(couple)
    })
  }

  scenario('theirs joins ours, whose firewall lets in nothing but multicast DNS', async (stage) => {
    const couple = await onLan(stage, { ipv4: '10.1.0.0/24' }, 'alice')
    await theirsJoins(couple)
  })

  scenario('ours joins theirs, whose firewall lets in nothing but multicast DNS', async (stage) => {
    const couple = await onLan(stage, { ipv4: '10.1.0.0/24' }, 'bob')
    await oursJoins(couple)
  })

  scenario('theirs joins ours behind a firewall, which finds its record', async (stage) => {
    await theirsJoins(await atRendezvous(stage, 'alice'))
  })

  scenario('ours joins theirs behind a firewall, which finds our record', async (stage) => {
    await oursJoins(await atRendezvous(stage, 'bob'))
  })

  scenario('theirs joins ours, each behind a NAT, over our rendezvous node', async (stage) => {
    const { address: given, ...couple } = await atTwoHomes(stage)
    // The relay's secret stands behind the address, and is for devices alone.
    const address = given.replace(/#.*$/u, '')
    await theirsJoins(couple)
    assert.ok(((await couple.bob.call('libp2pPing', { address })).ms ?? -1) >= 0)
    const { protocols = [] } = await couple.bob.call('identify', { address })
    for (const protocol of ['/spacedock/kad/1.0.0', '/libp2p/circuit/relay/0.2.0/hop', '/ipfs/ping/1.0.0'])
      assert.ok(protocols.includes(protocol), `${protocol} is not among ${protocols.join()}`)
  })

  scenario('ours joins theirs, each behind a NAT, over our rendezvous node', async (stage) => {
    const couple = await atTwoHomes(stage)
    await oursJoins(couple)
    await meet(couple)
  })

  async function obstacle(): Promise<string | false> {
    return typeof program === 'string' ? program : false
  }

  function scenario(title: string, play: (stage: Stage) => Promise<void>): void {
    const playOn = async (stage: Scene): Promise<void> => {
      if (typeof program === 'string') return
      await using disposables = new AsyncDisposableStack()
      const made: ForeignDevice[] = []
      const theirs: Stage['theirs'] = async (host, options = {}) => {
        const listen = ['0.0.0.0']
        const device = await ForeignDevice.start(program, host, { name: 'bob', listen, ...options })
        made.push(disposables.use(device))
        return device
      }
      try {
        await play({ ...stage, theirs })
      } catch (error) {
        for (const each of made) console.error(`--- ${each.name}'s log\n${each.log.slice(-6_000)}`)
        throw error
      }
    }
    scene(title.replaceAll('theirs', name), playOn, { obstacle })
  }
}

/** `closed` has a firewall that lets in answers and multicast DNS only. */
async function onLan(stage: Stage, options: LanOptions, closed?: 'alice' | 'bob'): Promise<Couple> {
  const home = await stage.lab.lan('home', options)
  const alice = await stage.device('alice', [home])
  const host = await stage.lab.host('bob', [home])
  if (closed !== undefined) {
    await (closed === 'alice' ? alice.host : host).firewall({ dropInbound: true, allowUdp: [5353] })
  }
  const listen = ['0.0.0.0', ...(options.ipv6 === undefined ? [] : ['::'])]
  const [bob] = await Promise.all([stage.theirs(host, { mdns: true, listen }), alice.device.up()])
  return { alice: alice.device, bob, saw: stage.saw }
}

/** A DHT, which carries no connections, is all that the two have, and nobody can dial `closed`. */
async function atRendezvous(stage: Stage, closed: 'alice' | 'bob'): Promise<Couple> {
  const internet = await stage.lab.internet()
  const meet = await stage.lab.host('meet', [internet])
  const node = await RendezvousNode.start(meet, ['--max-devices', '0'])
  const args = ['--mdns', 'off', '--rendezvous', node.address]
  const alice = await stage.device('alice', [internet], { args })
  const host = await stage.lab.host('bob', [internet])
  await (closed === 'alice' ? alice.host : host).firewall({ dropInbound: true })
  const [bob] = await Promise.all([stage.theirs(host, { rendezvous: [node.address] }), alice.device.up()])
  return { alice: alice.device, bob, saw: stage.saw }
}

async function atTwoHomes(stage: Stage): Promise<Couple & { address: string }> {
  const { alice, work, nodes } = await twoHomes(stage)
  const [address = assert.fail()] = nodes.map((node) => node.address)
  const host = await stage.lab.host('their-bob', [work])
  const [bob] = await Promise.all([stage.theirs(host, { rendezvous: [address] }), alice.device.up()])
  return { alice: alice.device, bob, address, saw: stage.saw }
}

async function theirsJoins({ alice, bob, saw }: Couple): Promise<void> {
  const pairing = alice.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code')
  const { took } = await timed(async () => {
    await bob.call('join', { words, peers: [], ask: false, timeoutMs: 60_000 })
    assert.equal((await bob.event('paired', undefined, 60_000)).name, 'alice')
  })
  await pairing.waitForEvent('paired')
  saw(`paired in ${took}`)
}

async function oursJoins({ alice, bob, saw }: Couple): Promise<void> {
  const { words } = await bob.call('invite', { ask: false })
  const { took } = await timed(async () => {
    const joined = await alice.cli(['join', '--yes', '-'], { input: `${words}\n` })
    assert.equal(joined.code, 0, joined.stderr)
  })
  assert.equal((await bob.event('paired')).name, 'alice')
  saw(`paired in ${took}, the start of a command included`)
}

/** The session follows by itself, as ours dials whom it sees. */
async function meet({ alice, bob, saw }: Couple): Promise<void> {
  const { result, took } = await timed(() => alice.waitForState('bob', 'connected'))
  saw(`connected ${took} later at ${result.address}`)
  const sent = await alice.cli(['send', 'bob', 'hello'])
  assert.equal(sent.lines[0]?.event, 'delivered')
  assert.equal((await bob.event('message')).body, 'hello')
}
