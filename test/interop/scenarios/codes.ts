import assert from 'node:assert/strict'
import { TestNodes } from '../../node/nodes.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'

/** Codes that pair nobody: wrong, used, cancelled, burnt or declined ones, in both roles. */
export function codeScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('theirs joins ours with the words of another code', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), theirs('bob')])
    const invitation = await alice.pair()
    const { words } = await bob.call('invite')
    await bob.call('cancel')
    await bob.call('join', { words, peers: alice.status().listen, timeoutMs: 3_000 })
    await bob.event('pairing-failed', ({ reason }) => reason === 'not-found')
    await bob.call('join', { words: invitation.words, peers: alice.status().listen })
    await bob.event('paired')
    await invitation.paired
  })

  scenario('theirs joins ours with a used and with a cancelled code', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const [alice, bob, carol] = await Promise.all([nodes.make('alice'), theirs('bob'), theirs('carol')])
    const peers = alice.status().listen
    const used = await alice.pair()
    await bob.call('join', { words: used.words, peers })
    await bob.event('paired')
    await carol.call('join', { words: used.words, peers })
    await carol.event('pairing-failed', ({ reason }) => reason === 'used')
    const cancelled = await alice.pair()
    await Promise.all([assert.rejects(cancelled.paired), cancelled.cancel()])
    await carol.call('join', { words: cancelled.words, peers })
    await carol.event('pairing-failed', ({ reason }) => reason === 'cancelled')
  })

  scenario('theirs burns a code of ours', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const [alice, bob, carol] = await Promise.all([nodes.make('alice'), theirs('bob'), theirs('carol')])
    const [address = assert.fail()] = alice.status().listen
    const invitation = await alice.pair()
    const burnt = assert.rejects(invitation.paired, { code: 'burnt' })
    const { answers } = await bob.call('probe', { words: invitation.words, address, times: 9 })
    assert.deepEqual(answers, [...Array<string>(8).fill('Challenge'), 'Refused'])
    await burnt
    await carol.call('join', { words: invitation.words, peers: [address] })
    await carol.event('pairing-failed', ({ reason }) => reason === 'burnt')
  })

  scenario('Ours joins with a used, a cancelled and a burnt code of theirs', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const [alice, carol] = await Promise.all([nodes.make('alice'), nodes.make('carol')])
    const [bob, thief] = await Promise.all([theirs('bob'), theirs('thief')])
    const peers = bob.addresses
    const used = await invite()
    await alice.join(used, { peers })
    await assert.rejects(carol.join(used, { peers }), { code: 'used' })
    const cancelled = await invite()
    await bob.call('cancel')
    await assert.rejects(carol.join(cancelled, { peers }), { code: 'cancelled' })
    const burnt = await invite()
    const { answers } = await thief.call('probe', { words: burnt, address: peers[0], times: 9 })
    assert.deepEqual(answers, [...Array<string>(8).fill('Challenge'), 'Refused'])
    await bob.event('pairing-failed', ({ reason }) => reason === 'burnt')
    await assert.rejects(carol.join(burnt, { peers }), { code: 'burnt' })

    async function invite(): Promise<string> {
      const { words } = await bob.call('invite')
      return words ?? assert.fail('no words')
    }
  })

  scenario('Both people see the same digits; either may say no', async ({ theirs }) => {
    await using nodes = new TestNodes()
    const [alice, bob] = await Promise.all([nodes.make('alice'), theirs('bob')])
    const digits: string[] = []
    const saying = (answer: boolean) => (request: { digits: string }) => {
      digits.push(request.digits)
      return Promise.resolve(answer)
    }
    const refusing = await alice.pair({ confirm: saying(false) })
    const declined = assert.rejects(refusing.paired, { code: 'declined' })
    await bob.call('join', { words: refusing.words, peers: alice.status().listen, ask: true })
    await bob.event('pairing-failed', ({ reason }) => reason === 'declined')
    await declined

    const { words = '' } = await bob.call('invite', { ask: true })
    const joining = alice.join(words, { peers: bob.addresses, confirm: saying(true) })
    const asked = await bob.event('confirm')
    await bob.call('confirm', { yes: true })
    await joining
    await bob.event('paired')
    assert.equal(asked.name, 'alice')
    assert.equal(asked.digits, digits.at(-1))
  })
}
