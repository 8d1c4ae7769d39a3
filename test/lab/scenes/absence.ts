import assert from 'node:assert/strict'
import { connectedBothWays, pairedDevices, talkBothWays } from '../meeting.ts'
import { scene, timed } from '../scene.ts'

/** Paired devices that lose each other, and find each other again without anybody's help. */

/** What is promised is ten seconds; the rest is for a slow machine. */
const noticed = { deadlineMs: 20_000 }

scene(
  'a device that is killed is disconnected for the other, and connected when it is back',
  async (stage) => {
    const { alice, bob } = await pairedDevices(stage)
    await bob.device.kill9()
    const gone = await timed(() => alice.device.waitForState('bob', 'disconnected', noticed))
    const back = await timed(async () => {
      await bob.device.up()
      await connectedBothWays(alice.device, bob.device)
    })
    await talkBothWays(alice.device, bob.device)
    stage.saw(`noticed after ${gone.took}; started again and connected in ${back.took}`)
  },
)

scene(
  'a device that falls silent is disconnected for the other, and connected when it is back',
  async (stage) => {
    const { alice, bob, home } = await pairedDevices(stage)
    const link = bob.host.link(home)
    await link.drop()
    // Neither the system nor the other side tells: only silence does.
    const interfaces = await bob.host.run(['node', '--print', 'Object.keys(os.networkInterfaces()).join()'])
    assert.equal(interfaces.stdout.trim(), 'lo,eth0')
    const gone = await timed(() =>
      Promise.all([
        alice.device.waitForState('bob', 'disconnected', noticed),
        bob.device.waitForState('alice', 'disconnected', noticed),
      ]),
    )
    assert.match(alice.device.log, /"event":"session.ended","peer":"\w+","reason":"silent"/u)
    const queued = await alice.device.cli(['send', 'bob', 'sent while away'])
    assert.equal(queued.lines[0]?.event, 'queued')
    await link.heal()
    const back = await timed(() => connectedBothWays(alice.device, bob.device))
    await talkBothWays(alice.device, bob.device)
    const inbox = await bob.device.cli(['inbox'])
    assert.equal(inbox.lines.filter(({ text }) => text === 'sent while away').length, 1)
    stage.saw(`noticed on both sides after ${gone.took}; connected again ${back.took} after packets passed`)
  },
)

scene('a cable that is pulled is noticed, and connected again when it is plugged in', async (stage) => {
  const { alice, bob, home } = await pairedDevices(stage)
  await bob.host.link(home).cut()
  const gone = await timed(() =>
    Promise.all([
      alice.device.waitForState('bob', 'disconnected', noticed),
      bob.device.waitForState('alice', 'disconnected', noticed),
    ]),
  )
  await bob.host.link(home).heal()
  const back = await timed(() => connectedBothWays(alice.device, bob.device))
  await talkBothWays(alice.device, bob.device)
  stage.saw(`noticed on both sides after ${gone.took}; connected again ${back.took} after it was plugged in`)
})

scene("both hosts restart with each other's old address, and find each other by mDNS", async (stage) => {
  const { alice, bob, home } = await pairedDevices(stage)
  await Promise.all([alice.device.down(), bob.device.down()])
  await alice.host.changeAddress(home, '10.1.0.3')
  await bob.host.changeAddress(home, '10.1.0.1')
  const back = await timed(async () => {
    await Promise.all([alice.device.up(), bob.device.up()])
    await connectedBothWays(alice.device, bob.device)
  })
  const { address } = await alice.device.waitForState('bob', 'connected')
  // Or at its link-local address, which is the same as before.
  assert.match(String(address), /^\/ip4\/10\.1\.0\.1\/|^\/ip6(?:zone\/|\/fe80:)/u)
  await talkBothWays(alice.device, bob.device)
  stage.saw(`started again and connected in ${back.took}`)
})

scene('a host gets another address while it runs, and is connected again', async (stage) => {
  const { alice, bob, home } = await pairedDevices(stage)
  await bob.host.changeAddress(home, '10.1.0.77')
  // While it has none of either, its link-local address leads there.
  const at = ['/ip4/10.1.0.77/', '/ip6zone/', '/ip6/fe80:']
  const back = await timed(() => alice.device.waitForState('bob', 'connected', { at }))
  await bob.device.waitForState('alice', 'connected')
  await talkBothWays(alice.device, bob.device)
  stage.saw(`connected at the new address ${back.took} after the change`)
})
