import assert from 'node:assert/strict'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'
import { firstAddressOf, peerOptions } from './addresses.ts'

const wrongWords = 'legal winner thank year wave sausage worth useful legal winner thank yellow'

/** Every way in which a code does not pair. */
export function refusalScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('both screens of ours and theirs show the same digits, whoever joins', async (stage) => {
    const [alice, bob] = await Promise.all([stage.ours('alice'), stage.theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--confirm-on-stdin'])
    const { words } = await pairing.waitForEvent('code')
    await bob.call('join', { words, peers: [await firstAddressOf(alice)], ask: true, timeoutMs: 30_000 })
    const shown = await pairing.waitForEvent('confirm')
    pairing.write('yes\n')
    const { digits } = await bob.event('confirm')
    assert.match(digits ?? '', /^\d{6}$/u)
    assert.equal(shown['digits'], digits)
    await bob.call('confirm', { yes: true })
    await Promise.all([bob.event('paired'), pairing.waitForEvent('paired')])

    const { words: theirWords } = await bob.call('invite', { ask: true })
    const joining = alice.spawnCli(['join', '--confirm-on-stdin', ...peerOptions(bob), '-'])
    joining.write(`${theirWords}\n`)
    const theirDigits = (await bob.event('confirm')).digits
    await bob.call('confirm', { yes: true })
    assert.equal((await joining.waitForEvent('confirm'))['digits'], theirDigits)
    joining.write('yes\n')
    await Promise.all([bob.event('paired'), joining.waitForEvent('paired')])
  })

  scenario('theirs joins ours with wrong words: silence, not found', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    await pairing.waitForEvent('code')
    const peers = [await firstAddressOf(alice)]
    await bob.call('join', { words: wrongWords, peers, ask: false, timeoutMs: 3_000 })
    assert.equal((await bob.event('pairing-failed')).reason, 'not-found')
    const misspelt = await bob.fails('join', { words: 'abandon', peers, ask: false, timeoutMs: 3_000 })
    assert.equal(misspelt.code, 'invalid-argument')
    const { words } = await pairing.waitForEvent('code')
    await bob.call('join', { words, peers, ask: false, timeoutMs: 30_000 })
    await Promise.all([bob.event('paired'), pairing.waitForEvent('paired')])
  })

  scenario('ours joins theirs with wrong words: silence, not found', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    await bob.call('invite', { ask: false })
    const args = ['join', '--yes', '--timeout', '3', ...peerOptions(bob), '-']
    const { code } = await alice.cli(args, { input: wrongWords })
    assert.equal(code, 4)
  })

  scenario('a code of ours that was used is refused to theirs', async ({ ours, theirs }) => {
    const [alice, bob, carol] = await Promise.all([ours('alice'), theirs('bob'), theirs('carol')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const join = { words, peers: [await firstAddressOf(alice)], ask: false, timeoutMs: 30_000 }
    await bob.call('join', join)
    await bob.event('paired')
    await carol.call('join', join)
    assert.equal((await carol.event('pairing-failed')).reason, 'used')
  })

  scenario('a code of theirs that was used is refused to ours', async ({ ours, theirs }) => {
    const [alice, bob, carol] = await Promise.all([ours('alice'), theirs('bob'), ours('carol')])
    const { words } = await bob.call('invite', { ask: false })
    const args = ['join', '--yes', ...peerOptions(bob), '-']
    assert.equal((await alice.cli(args, { input: String(words) })).code, 0)
    const used = await carol.cli(args, { input: String(words) })
    assert.equal(used.code, 6)
    assert.match(used.stderr, /"code":"used"/u)
  })

  scenario('ours calls its code off while theirs is being asked: cancelled', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    await bob.call('join', { words, peers: [await firstAddressOf(alice)], ask: true, timeoutMs: 30_000 })
    await bob.event('confirm')
    await pairing.interrupt()
    assert.equal((await bob.event('pairing-failed')).reason, 'cancelled')
  })

  scenario('theirs calls its code off while ours is being asked: cancelled', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const { words } = await bob.call('invite', { ask: false })
    const joining = alice.spawnCli(['join', '--confirm-on-stdin', ...peerOptions(bob), '-'])
    joining.write(`${words}\n`)
    await joining.waitForEvent('confirm')
    await bob.call('cancel')
    assert.equal((await bob.event('pairing-failed')).reason, 'cancelled')
    const { code, stderr } = await joining.finished()
    assert.equal(code, 6)
    assert.match(stderr, /"code":"cancelled"/u)
  })

  scenario('theirs calls its join off while ours is being asked: cancelled', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--confirm-on-stdin'])
    const { words } = await pairing.waitForEvent('code')
    await bob.call('join', { words, peers: [await firstAddressOf(alice)], ask: false, timeoutMs: 30_000 })
    await pairing.waitForEvent('confirm')
    await bob.call('cancel')
    assert.equal((await bob.event('pairing-failed')).reason, 'cancelled')
    const { code, stderr } = await pairing.finished()
    assert.equal(code, 6)
    assert.match(stderr, /"code":"cancelled"/u)
  })

  scenario('the person at ours says no, and theirs learns it', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--confirm-on-stdin'])
    const { words } = await pairing.waitForEvent('code')
    await bob.call('join', { words, peers: [await firstAddressOf(alice)], ask: false, timeoutMs: 30_000 })
    await pairing.waitForEvent('confirm')
    pairing.write('no\n')
    assert.equal((await bob.event('pairing-failed')).reason, 'declined')
  })

  scenario('the person at theirs says no, and ours learns it', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const { words } = await bob.call('invite', { ask: true })
    const joining = alice.spawnCli(['join', '--yes', ...peerOptions(bob), '-'])
    joining.end(`${words}\n`)
    await bob.event('confirm')
    await bob.call('confirm', { yes: false })
    const { code, stderr } = await joining.finished()
    assert.equal(code, 6)
    assert.match(stderr, /"code":"declined"/u)
  })

  scenario('theirs burns a code of ours with a ninth request', async ({ ours, theirs }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const address = await firstAddressOf(alice)
    const { answers } = await bob.call('probe', { words, address, times: 9 })
    assert.deepEqual(answers, [...Array.from({ length: 8 }, () => 'Challenge'), 'Refused'])
    const { code, stderr } = await pairing.finished()
    assert.equal(code, 6)
    assert.match(stderr, /"code":"burnt"/u)
    await bob.call('join', { words, peers: [address], ask: false, timeoutMs: 30_000 })
    assert.equal((await bob.event('pairing-failed')).reason, 'burnt')
  })

  scenario('a code of theirs that was burnt is refused to ours', async ({ ours, theirs }) => {
    const [alice, bob, thief] = await Promise.all([ours('alice'), theirs('bob'), theirs('thief')])
    const { words } = await bob.call('invite', { ask: false })
    const { answers } = await thief.call('probe', { words, address: bob.addresses[0], times: 9 })
    assert.deepEqual(answers, [...Array.from({ length: 8 }, () => 'Challenge'), 'Refused'])
    assert.equal((await bob.event('pairing-failed')).reason, 'burnt')
    const { code, stderr } = await alice.cli(['join', '--yes', ...peerOptions(bob), '-'], {
      input: String(words),
    })
    assert.equal(code, 6)
    assert.match(stderr, /"code":"burnt"/u)
  })
}
