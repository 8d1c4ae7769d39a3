import assert from 'node:assert/strict'
import type { TestDevice } from '../../device.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf, timed } from '../scenario.ts'

/** Devices that find each other by nothing but the words, at a rendezvous node of ours. */
export function rendezvousScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('theirs joins ours, by the record at our rendezvous node', async (stage) => {
    const address = await stage.rendezvous()
    const [alice, bob] = await Promise.all([
      stage.ours('alice', ['--rendezvous', address]),
      stage.theirs('bob', { listen: [], rendezvous: [address] }),
    ])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const { took } = await timed(async () => {
      await bob.call('join', { words, peers: [], ask: false, timeoutMs: 60_000 })
      assert.equal((await bob.event('paired', undefined, 60_000)).name, 'alice')
    })
    stage.saw(`paired in ${took}`)
    const { peerId } = await alice.status()
    await bob.down()
    await bob.up()
    const again = await timed(() => bob.call('connect', { peerId, addresses: [] }, 60_000))
    stage.saw(`connected by the presence record, ${again.result.path}, in ${again.took}`)
    await bob.call('send', { peerId, kind: 'text', body: 'hello' })
  })

  scenario('ours joins theirs, by the record at our rendezvous node, over our relay', async (stage) => {
    const address = await stage.rendezvous()
    const [alice, bob] = await Promise.all([
      stage.ours('alice', ['--rendezvous', address]),
      // It listens nowhere: only the relay leads to it.
      stage.theirs('bob', { listen: [], rendezvous: [address] }),
    ])
    const { words } = await bob.call('invite', { ask: false })
    const { took } = await timed(() => joinWith(alice, String(words)))
    assert.equal((await bob.event('paired')).name, 'alice')
    stage.saw(`paired in ${took}, the start of a command included`)
    await bob.event('connected')
    await bob.down()
    await bob.up()
    const again = await timed(() => alice.waitForState('bob', 'connected'))
    assert.equal(again.result.path, 'relayed')
    stage.saw(`connected again over the relay in ${again.took}`)
    const sent = await alice.cli(['send', 'bob', 'hello'])
    assert.equal(sent.lines[0]?.event, 'delivered', sent.stderr)
    assert.equal((await bob.event('message', undefined, 60_000)).body, 'hello')
  })
}

/** The foreign program as rendezvous node. */
export function rendezvousNodeScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('two of ours pair by the words, at theirs rendezvous node', async (stage) => {
    const address = await stage.theirRendezvous()
    const [alice, carol] = await Promise.all([
      stage.ours('alice', ['--rendezvous', address]),
      stage.ours('carol', ['--rendezvous', address]),
    ])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const { took } = await timed(() => joinWith(carol, String(words)))
    stage.saw(`paired in ${took}, the start of a command included`)
  })

  scenario('ours joins theirs, over the relay of theirs rendezvous node', async (stage) => {
    const address = await stage.theirRendezvous()
    const [alice, bob] = await Promise.all([
      stage.ours('alice', ['--rendezvous', address]),
      stage.theirs('bob', { listen: [], rendezvous: [address] }),
    ])
    const { words } = await bob.call('invite', { ask: false })
    const { took } = await timed(() => joinWith(alice, String(words)))
    stage.saw(`paired in ${took}, the start of a command included`)
    const { result } = await timed(() => alice.waitForState('bob', 'connected'))
    assert.equal(result.path, 'relayed')
  })
}

/** The start of a command included. */
async function joinWith(device: TestDevice, words: string): Promise<void> {
  const joined = await device.cli(['join', '--yes', '-'], { input: `${words}\n`, deadlineMs: 90_000 })
  assert.equal(joined.code, 0, joined.stderr)
}
