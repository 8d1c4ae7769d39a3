import assert from 'node:assert/strict'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import type { FirewallOptions } from '../lab.ts'
import { scene, seconds, timed, type Actor, type Stage } from '../scene.ts'

/** Hosts with a firewall of their own in its usual state: multicast DNS gets in, and nothing else that was not asked for. */

const mdns = { allowUdp: [5353] }
const firewalls = {
  drops: { dropInbound: true, ...mdns },
  resets: { rejectInbound: 'reset', ...mdns },
  prohibits: { rejectInbound: 'prohibited', ...mdns },
} satisfies Record<string, FirewallOptions>

for (const [kind, firewall] of Object.entries(firewalls)) {
  for (const who of ['the initiator', 'the joiner'] as const) {
    scene(
      `a firewall on ${who} ${kind}: the other side's connection is used, and found again`,
      async (stage) => {
        const { alice, bob } = await twoHosts(stage)
        const closed = who === 'the initiator' ? alice : bob
        await closed.host.firewall(firewall)
        await Promise.all([alice.device.up(), bob.device.up()])
        const { took, told } = await pairAsPeopleDo(alice, bob)
        assert.deepEqual(told, [], 'nobody is told of a firewall that is in nobody’s way')
        await talkBothWays(alice.device, bob.device)
        const restarts: string[] = []
        for (const order of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          await Promise.all(order.map(({ device }) => device.down()))
          const resumed = await timed(async () => {
            for (const { device } of order) await device.up()
            await connectedBothWays(alice.device, bob.device)
          })
          restarts.push(`${order.map(({ device }) => device.name).join(', ')}: ${resumed.took}`)
        }
        for (const each of [alice, bob]) {
          await each.device.down()
          const back = await timed(async () => {
            await each.device.up()
            await connectedBothWays(alice.device, bob.device)
          })
          restarts.push(`${each.device.name} alone: ${back.took}`)
        }
        stage.saw(`paired in ${took}; started again and connected, ${restarts.join('; ')}`)
      },
    )
  }

  scene(
    `firewalls on both ${kind}: both screens name cause and remedy, and the remedy works`,
    async (stage) => {
      const { alice, bob, home } = await twoHosts(stage)
      for (const { host } of [alice, bob]) await host.firewall(firewall)
      await Promise.all([alice.device.up(), bob.device.up()])
      const portOfAlice = await portOf(alice)
      const portOfBob = await portOf(bob)

      const pairing = alice.device.spawnCli(['pair', '--yes'])
      const { words } = await pairing.waitForEvent('code')
      const startedAt = performance.now()
      const joining = bob.device.spawnCli(['join', '-', '--yes', '--timeout', '15'])
      joining.end(`${String(words)}\n`)
      const [onPair, onJoin] = await Promise.all(
        [pairing, joining].map(async (command) => {
          const line = await command.progress(({ event }) => event === 'obstacle')
          return { ...line, after: seconds(performance.now() - startedAt) }
        }),
      )
      assert.ok(onPair !== undefined && onJoin !== undefined)
      assert.match(
        onPair.message ?? '',
        new RegExp(`${bob.host.address(home)}.*port ${portOfBob}.*firewalls on both`, 'u'),
      )
      assert.match(
        onJoin.message ?? '',
        new RegExp(`${alice.host.address(home)}.*port ${portOfAlice}.*firewall`, 'u'),
      )
      const failed = await joining.process.finished()
      assert.equal(failed.code, 4)
      const [error] = failed.stderr.split('\n').filter((line) => line.includes('"event":"error"'))
      assert.match(
        error ?? '',
        new RegExp(`"not-found".*TCP port ${portOfAlice} at ${alice.host.address(home)}`, 'u'),
      )
      assert.deepEqual(
        [count(failed.stderr), count(pairing.process.stderr)],
        [1, 1],
        'said once, not again and again',
      )

      // What both screens say: one of the two ports is enough.
      await bob.host.firewall({ ...firewall, allowTcp: [portOfBob] })
      const again = bob.device.spawnCli(['join', '-', '--yes'])
      again.end(`${String(words)}\n`)
      const opened = await timed(() => again.waitForEvent('paired'))
      await pairing.waitForEvent('paired')
      stage.saw(
        `said on pair after ${onPair.after}, on join after ${onJoin.after}; ${opened.took} with the port open`,
      )
      stage.saw(`pair: ${onPair.message}`)
      stage.saw(`join: ${onJoin.message}`)

      // Paired devices that see each other and cannot get through say so, too.
      await bob.host.firewall(firewall)
      await connectedBothWays(alice.device, bob.device)
      await Promise.all([alice.device.down(), bob.device.down()])
      await Promise.all([alice.device.up(), bob.device.up()])
      const told = await timed(() =>
        untilDevicesSay(alice, 'bob', /It is on this network at .* a firewall on it is likely/u),
      )
      stage.saw(`devices, after ${told.took}: ${told.result}`)
    },
  )
}

scene(
  'without multicast, an address of a closed initiator is tried in vain: join says to swap, which works, as pair --peer does',
  async (stage) => {
    const { alice, bob, home } = await twoHosts(stage)
    await alice.host.firewall({ dropMulticast: true, dropInbound: true })
    await bob.host.firewall({ dropMulticast: true })
    await Promise.all([alice.device.up(), bob.device.up()])
    const ofAlice = await addressOf(alice)
    const ofBob = await addressOf(bob)

    const inVain = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await inVain.waitForEvent('code')
    const joining = bob.device.spawnCli(['join', '-', '--yes', '--timeout', '20', '--peer', ofAlice])
    joining.end(`${String(words)}\n`)
    const told = await timed(() => joining.progress(({ event }) => event === 'obstacle'))
    assert.deepEqual([told.result['cause'], told.result['known']], ['no-answer', 'given'])
    assert.match(told.result.message ?? '', /show the code here and type the words there/u)
    await Promise.all([joining.kill(), inVain.kill()])

    const swapped = bob.device.spawnCli(['pair', '--yes'])
    const { words: others } = await swapped.waitForEvent('code')
    const args = ['join', '-', '--yes', '--peer', ofBob]
    const joined = await timed(() => alice.device.cli(args, { input: `${String(others)}\n` }))
    assert.equal(joined.result.code, 0, joined.result.stderr)
    await swapped.waitForEvent('paired')
    stage.saw(`said after ${told.took}: ${told.result.message}`)

    const carol = await stage.device('carol', [home])
    await carol.host.firewall({ dropMulticast: true })
    await carol.device.up()
    const dialling = alice.device.spawnCli(['pair', '--yes', '--peer', await addressOf(carol)])
    const { words: more } = await dialling.waitForEvent('code')
    const joinedToo = await timed(() =>
      carol.device.cli(['join', '-', '--yes'], { input: `${String(more)}\n` }),
    )
    assert.equal(joinedToo.result.code, 0, joinedToo.result.stderr)
    await dialling.waitForEvent('paired')
    stage.saw(`paired, swapped, in ${joined.took}; with pair --peer in ${joinedToo.took}`)
  },
)

scene(
  'an initiator whose firewall lets in no multicast either: join names its port, and opening that is enough',
  async (stage) => {
    const { alice, bob } = await twoHosts(stage)
    await alice.host.firewall({ dropInbound: true })
    await Promise.all([alice.device.up(), bob.device.up()])
    const port = await portOf(alice)
    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const joining = bob.device.spawnCli(['join', '-', '--yes'])
    joining.end(`${String(words)}\n`)
    const told = await timed(() => joining.progress(({ event }) => event === 'obstacle'))
    assert.match(told.result.message ?? '', new RegExp(`TCP port ${port}`, 'u'))
    await alice.host.firewall({ dropInbound: true, allowTcp: [port] })
    const opened = await timed(() => joining.waitForEvent('paired'))
    await pairing.waitForEvent('paired')
    stage.saw(
      `said after ${told.took}; paired ${opened.took} after the port was opened, with the same commands`,
    )
  },
)

scene(
  'an initiator that nobody joins hears nothing of firewalls, whatever else is on the network',
  async (stage) => {
    const { alice, bob, home } = await twoHosts(stage)
    await bob.host.firewall(firewalls.drops)
    await Promise.all([alice.device.up(), bob.device.up()])
    const pairing = alice.device.spawnCli(['pair', '--yes'])
    await pairing.waitForEvent('code')
    // Bob answers each of these as whoever is there does, and joins nobody.
    const other = await stage.device('carol', [home])
    await other.device.up()
    const alone = other.device.spawnCli(['join', '-', '--yes', '--timeout', '12'])
    alone.end('legal winner thank year wave sausage worth useful legal winner thank yellow\n')
    assert.equal((await alone.process.finished()).code, 4)
    assert.doesNotMatch(pairing.process.stderr, /obstacle/u)
  },
)

function count(text: string): number {
  return text.split('"event":"obstacle"').length - 1
}

async function twoHosts({ lab, device }: Stage) {
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  return { home, alice: await device('alice', [home]), bob: await device('bob', [home]) }
}

async function pairAsPeopleDo(initiator: Actor, joiner: Actor): Promise<{ took: string; told: string[] }> {
  const pairing = initiator.device.spawnCli(['pair', '--yes'])
  const { words } = await pairing.waitForEvent('code')
  const joining = joiner.device.spawnCli(['join', '-', '--yes'])
  joining.end(`${String(words)}\n`)
  const { took } = await timed(() => joining.waitForEvent('paired'))
  await pairing.waitForEvent('paired')
  const lines = [pairing, joining].flatMap(({ process }) => process.stderr.split('\n'))
  return { took, told: lines.filter((line) => line.includes('"obstacle"')) }
}

async function addressOf({ device }: Actor): Promise<string> {
  const { listen = [] } = await device.status()
  return listen.find((address) => address.startsWith('/ip4/10.')) ?? ''
}

async function portOf({ device }: Actor): Promise<number> {
  const { listen = [] } = await device.status()
  return Number(/\/tcp\/(?<port>\d+)/u.exec(listen[0] ?? '')?.groups?.['port'])
}

async function untilDevicesSay({ device }: Actor, name: string, text: RegExp): Promise<string> {
  const deadline = performance.now() + 90_000
  for (;;) {
    const found = (await device.devices()).find((each) => each.name === name)
    const { message = '', hint = '' } = found?.lastFailure ?? {}
    if (text.test(message)) return `${message} ${hint}`
    assert.ok(performance.now() < deadline, JSON.stringify(found))
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
