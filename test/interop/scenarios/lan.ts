import assert from 'node:assert/strict'
import { test } from 'node:test'
import { device, type TestDevice } from '../../device.ts'
import { createLab } from '../../lab/lab.ts'
import type { Lan } from '../../lab/lab.ts'
import { whyNoLab } from '../../lab/requirements.ts'
import { ForeignDevice } from '../foreign-device.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { timed } from '../scenario.ts'

const obstacle = await whyNoLab()

/** What two devices on a network of network namespaces do that know nothing of each other. */
export function lanScenarios(name: string, program: ForeignProgram | string): void {
  const networks = {
    IPv4: { ipv4: '10.1.0.0/24' },
    'IPv4 and IPv6': { ipv4: '10.1.0.0/24', ipv6: 'fd00:1::/64' },
  }
  for (const [kind, options] of Object.entries(networks)) {
    scenario(`theirs joins ours, by multicast DNS, ${kind}`, options, async ({ alice, bob, saw }) => {
      const pairing = alice.spawnCli(['pair', '--yes'])
      const { words } = await pairing.waitForEvent('code')
      const { took } = await timed(async () => {
        await bob.call('join', { words, peers: [], ask: false, timeoutMs: 60_000 })
        assert.equal((await bob.event('paired', undefined, 60_000)).name, 'alice')
      })
      saw(`paired in ${took}`)
      await meet(alice, bob, saw)
    })

    scenario(`ours joins theirs, by multicast DNS, ${kind}`, options, async ({ alice, bob, saw }) => {
      const { words } = await bob.call('invite', { ask: false })
      const { took } = await timed(async () => {
        const joined = await alice.cli(['join', '--yes', '-'], { input: `${words}\n` })
        assert.equal(joined.code, 0, joined.stderr)
      })
      saw(`paired in ${took}, the start of a command included`)
      await meet(alice, bob, saw)
    })
  }

  function scenario(
    title: string,
    options: Parameters<typeof addLan>[1],
    play: (actors: { alice: TestDevice; bob: ForeignDevice; saw: (text: string) => void }) => Promise<void>,
  ): void {
    const skip = typeof program === 'string' ? program : obstacle
    test(title.replace('theirs', name), { skip, timeout: 120_000 }, async (context) => {
      if (typeof program === 'string') return
      const lab = await createLab()
      try {
        const lan = await addLan(lab, options)
        const [oneHost, otherHost] = [await lab.host('alice', [lan]), await lab.host('bob', [lan])]
        await using alice = await device(oneHost, { name: 'alice' })
        const listen = ['0.0.0.0', ...(lan.ipv6 === null ? [] : ['::'])]
        const [bob] = await Promise.all([
          ForeignDevice.start(program, otherHost, { name: 'bob', mdns: true, listen }),
          alice.up(),
        ])
        try {
          await play({ alice, bob, saw: (text) => context.diagnostic(text) })
        } catch (error) {
          console.error(`--- alice's log\n${alice.log.slice(-6_000)}\n--- bob's\n${bob.log.slice(-6_000)}`)
          throw error
        } finally {
          await bob.close()
        }
      } finally {
        await lab.close()
      }
    })
  }
}

async function addLan(
  lab: Awaited<ReturnType<typeof createLab>>,
  options: { ipv4: string; ipv6?: string },
): Promise<Lan> {
  return await lab.lan('home', options)
}

/** The session follows by itself, as ours dials whom it sees. */
async function meet(alice: TestDevice, bob: ForeignDevice, saw: (text: string) => void): Promise<void> {
  const { result, took } = await timed(() => alice.waitForState('bob', 'connected'))
  saw(`connected ${took} later at ${result.address}`)
  const sent = await alice.cli(['send', 'bob', 'hello'])
  assert.equal(sent.lines[0]?.event, 'delivered')
  assert.equal((await bob.event('message')).body, 'hello')
}
