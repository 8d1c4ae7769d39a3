import assert from 'node:assert/strict'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf, timed } from '../scenario.ts'
import { firstAddressOf, peerOptions } from './addresses.ts'

/** Both roles of pairing, by address. */
export function pairingScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('theirs joins ours, by address', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const peers = [await firstAddressOf(alice)]
    const { took } = await timed(async () => {
      await bob.call('join', { words, peers, ask: false, timeoutMs: 30_000 })
      assert.equal((await bob.event('paired')).name, 'alice')
    })
    assert.equal((await pairing.waitForEvent('paired')).device?.name, 'bob')
    saw(`paired in ${took}`)
  })

  scenario('theirs joins ours, by its URI', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { uri } = await pairing.waitForEvent('code')
    const { took } = await timed(async () => {
      await bob.call('join', { words: uri, peers: [], ask: false, timeoutMs: 30_000 })
      assert.equal((await bob.event('paired')).name, 'alice')
    })
    saw(`paired in ${took}`)
  })

  scenario('ours joins theirs, by address', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const { words } = await bob.call('invite', { ask: false })
    const { took } = await timed(async () => {
      const joined = await alice.cli(['join', '--yes', ...peerOptions(bob), '-'], { input: `${words}\n` })
      assert.equal(joined.code, 0, joined.stderr)
      assert.equal(joined.lines.at(-1)?.device?.name, 'bob')
    })
    assert.equal((await bob.event('paired')).name, 'alice')
    saw(`paired in ${took}, the start of a command included`)
  })

  scenario('ours joins theirs, by its URI', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const { uri } = await bob.call('invite', { ask: false })
    const { took } = await timed(async () => {
      const joined = await alice.cli(['join', '--yes', '-'], { input: `${uri}\n` })
      assert.equal(joined.code, 0, joined.stderr)
    })
    saw(`paired in ${took}, the start of a command included`)
  })
}
