import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pairDevices } from '../device.ts'
import { devicesUp, nth } from './devices-up.ts'

/** Two real processes, Alice (initiator) and Bob (joiner), with only the words between them: all that can happen. */

describe('Alice and Bob', { timeout: 600_000 }, () => {
  test('Bob may start first: he looks until Alice can be found', async () => {
    await using devices = await devicesUp('alice', 'bob')
    const [alice, bob] = [nth(devices, 0), nth(devices, 1)]
    const joining = bob.spawnCli(['join', '--yes', '-'])

    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const { pid } = await alice.status()
    assert.ok(pid !== undefined)
    process.kill(pid, 'SIGSTOP')
    joining.end(`${String(words)}\n`)
    await joining.progress(({ event }) => event === 'source')
    process.kill(pid, 'SIGCONT')

    assert.equal((await joining.waitForEvent('paired')).device?.name, 'alice')
    assert.equal((await pairing.waitForEvent('paired')).device?.name, 'bob')
  })

  test('words that nobody shows are looked for until the deadline', async () => {
    await using devices = await devicesUp('bob')
    const bob = nth(devices, 0)
    const words = 'legal winner thank year wave sausage worth useful legal winner thank yellow'
    const { code, stderr } = await bob.cli(['join', '--yes', '--timeout', '1', '-'], { input: words })
    assert.equal(code, 4)
    assert.match(stderr, /"code":"not-found"/u)
  })

  test('two pairs at once find their own partners', async () => {
    await using devices = await devicesUp('alice', 'bob', 'carol', 'dave')
    const [alice, bob, carol, dave] = [nth(devices, 0), nth(devices, 1), nth(devices, 2), nth(devices, 3)]
    await Promise.all([pairDevices(alice, bob), pairDevices(carol, dave)])
    for (const [one, other] of [
      [alice, 'bob'],
      [bob, 'alice'],
      [carol, 'dave'],
      [dave, 'carol'],
    ] as const) {
      assert.deepEqual(
        (await one.devices()).map(({ name }) => name),
        [other],
      )
    }
  })

  test('three devices pair with each other, one code each', async () => {
    await using devices = await devicesUp('alice', 'bob', 'carol')
    const [alice, bob, carol] = [nth(devices, 0), nth(devices, 1), nth(devices, 2)]
    await pairDevices(alice, bob)
    await pairDevices(bob, carol)
    await pairDevices(carol, alice)
    const names = (await bob.devices()).map(({ name }) => name)
    assert.deepEqual(names.toSorted(), ['alice', 'carol'])
    await alice.waitForState('carol', 'connected')
    assert.equal((await carol.cli(['send', 'alice', '-'], { input: 'from standard input' })).code, 0)
    assert.equal((await alice.cli(['inbox'])).lines.at(-1)?.['text'], 'from standard input')
  })

  test('a code that was used is refused with the reason, and a wrong word is refused at once', async () => {
    await using devices = await devicesUp('alice', 'bob', 'carol')
    const [alice, bob, carol] = [nth(devices, 0), nth(devices, 1), nth(devices, 2)]
    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const wrong = String(words).replace(/^\w+/u, 'zzzzz')
    const refused = await carol.cli(['join', '--yes', '-'], { input: wrong })
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /word 1/iu)

    assert.equal((await bob.cli(['join', '--yes', '-'], { input: String(words) })).code, 0)
    const used = await carol.cli(['join', '--yes', '-'], { input: String(words) })
    assert.equal(used.code, 6)
    assert.match(used.stderr, /"code":"used"/u)
    assert.deepEqual(await carol.devices(), [])
  })

  test('Ctrl-C at one side ends both', async () => {
    await using devices = await devicesUp('alice', 'bob')
    const [alice, bob] = [nth(devices, 0), nth(devices, 1)]
    const pairing = alice.spawnCli(['pair', '--confirm-on-stdin'])
    const { words } = await pairing.waitForEvent('code')
    const joining = bob.spawnCli(['join', '--yes', '-'])
    joining.end(`${String(words)}\n`)
    await pairing.waitForEvent('confirm')
    assert.equal((await pairing.interrupt()).code, 130)
    const joined = await joining.finished()
    assert.equal(joined.code, 6, joined.stderr)
    assert.match(joined.stderr, /"code":"cancelled"/u)
    assert.deepEqual([await alice.devices(), await bob.devices()], [[], []])
  })

  test('each side may say no to the other', async () => {
    await using devices = await devicesUp('alice', 'bob')
    const [alice, bob] = [nth(devices, 0), nth(devices, 1)]
    for (const answers of [
      { alice: 'no', bob: 'yes' },
      { alice: 'yes', bob: 'no' },
    ]) {
      const pairing = alice.spawnCli(['pair', '--confirm-on-stdin'])
      const { words } = await pairing.waitForEvent('code')
      const joining = bob.spawnCli(['join', '--confirm-on-stdin', '-'])
      joining.write(`${String(words)}\n`)
      const asked = await pairing.waitForEvent('confirm')
      assert.equal(asked.name, 'bob')
      pairing.write(`${answers.alice}\n`)
      if (answers.alice === 'yes') {
        const other = await joining.waitForEvent('confirm')
        assert.equal(other['digits'], asked['digits'])
        joining.write(`${answers.bob}\n`)
      }
      assert.deepEqual([(await pairing.finished()).code, (await joining.finished()).code], [6, 6])
    }
    assert.deepEqual([await alice.devices(), await bob.devices()], [[], []])
  })

  test('after a revocation nothing gets through, and pairing again heals both sides', async () => {
    await using devices = await devicesUp('alice', 'bob')
    const [alice, bob] = [nth(devices, 0), nth(devices, 1)]
    await pairDevices(alice, bob)
    await alice.waitForState('bob', 'connected')
    assert.equal((await alice.cli(['revoke', 'bob', '--yes'])).code, 0)
    assert.deepEqual(
      (await alice.devices()).map(({ state }) => state),
      ['revoked'],
    )
    await bob.waitForState('alice', 'needs-pairing')
    assert.equal((await bob.cli(['send', 'alice', 'hello?'])).code, 6)
    assert.deepEqual((await alice.cli(['inbox'])).lines, [])

    await pairDevices(bob, alice)
    await alice.waitForState('bob', 'connected')
    await bob.waitForState('alice', 'connected')
    assert.equal((await bob.cli(['send', 'alice', 'hello again'])).lines[0]?.event, 'delivered')
  })

  test('a message to a device that is off is queued, survives a kill of the sender, and arrives once', async () => {
    await using devices = await devicesUp('alice', 'bob')
    const [alice, bob] = [nth(devices, 0), nth(devices, 1)]
    await pairDevices(alice, bob)
    await bob.waitForState('alice', 'connected')
    await alice.down()
    await bob.waitForState('alice', 'disconnected')
    for (const text of ['one', 'two', 'three']) {
      assert.equal((await bob.cli(['send', 'alice', text])).lines[0]?.event, 'queued')
    }
    assert.equal((await bob.cli(['outbox'])).lines.length, 3)
    await bob.kill9()
    await Promise.all([alice.up(), bob.up()])
    const reading = alice.spawnCli(['inbox', '--follow'])
    for (const text of ['one', 'two', 'three']) await reading.waitForLine((line) => line.text === text)
    await reading.kill()
    const { lines } = await alice.cli(['inbox'])
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['one', 'two', 'three'],
    )
  })
})
