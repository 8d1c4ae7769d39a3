import assert from 'node:assert/strict'
import type { TestDevice } from '../../device.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf, timed } from '../scenario.ts'

/** Both roles of pairing, by address, and every way in which it ends badly. */
export function pairingScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('Theirs joins ours, by address', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const peers = await addressesOf(alice)
    const { took } = await timed(async () => {
      await bob.call('join', { words, peers, ask: false, timeoutMs: 30_000 })
      assert.equal((await bob.event('paired')).name, 'alice')
    })
    assert.equal((await pairing.waitForEvent('paired')).device?.name, 'bob')
    saw(`paired in ${took}`)
  })

  scenario('ours joins theirs, by address', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const { words } = await bob.call('invite', { ask: false })
    const { took } = await timed(async () => {
      const peers = bob.addresses.flatMap((address) => ['--peer', address])
      const joined = await alice.cli(['join', '--yes', ...peers, '-'], { input: `${words}\n` })
      assert.equal(joined.code, 0, joined.stderr)
      assert.equal(joined.lines.at(-1)?.device?.name, 'bob')
    })
    assert.equal((await bob.event('paired')).name, 'alice')
    saw(`paired in ${took}, the start of a command included`)
  })
}

async function addressesOf(device: TestDevice): Promise<string[]> {
  return (await device.status()).listen ?? []
}
