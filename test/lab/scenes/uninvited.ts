import assert from 'node:assert/strict'
import type { TestDevice } from '../../device.ts'
import { askWithWords, Flood } from '../flooder.ts'
import type { Host, Lan } from '../lab.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { scene, seconds, timed } from '../scene.ts'

/** Somebody on the LAN who was not invited: what he can see, and what he can do. */

scene('all the traffic of a pairing holds no words, no names and no session id', async (stage) => {
  const { lab, device, saw } = stage
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const names = ['Quicksilver Laptop 41c7', 'Wintermute Phone 9be2'] as const
  const stopCapture = await lab.capture(home)
  const alice = await device('alice', [home], { name: names[0] })
  const bob = await device('bob', [home], { name: names[1] })
  await Promise.all([alice.device.up(), bob.device.up()])
  const { words, sessionId } = await pairWithRareWords(alice.device, bob.device)
  await talkBothWays(alice.device, bob.device)
  const captured = await stopCapture()

  const secrets = [
    ...words.filter((word) => word.length >= 5).map((word) => Buffer.from(word)),
    ...names.map((name) => Buffer.from(name)),
    ...names.map((name) => Buffer.from(`from ${name}`)),
    Buffer.from(sessionId),
    Buffer.from(sessionId, 'hex'),
    Buffer.from(Buffer.from(sessionId, 'hex').toString('base64url')),
  ]
  assert.ok(secrets.length > 10)
  for (const present of ['dnsaddr=/ip4/10.1.0.1/', '/multistream/1.0.0', '/noise']) {
    assert.ok(captured.includes(present), `the capture is whole: ${present}`)
  }
  assert.deepEqual(foundIn(captured, secrets), [])
  // And the search does find what is sent in clear.
  const stopControl = await lab.capture(home)
  await sendInClear(alice.host, bob.host.address(home), Buffer.concat(secrets))
  assert.equal(foundIn(await stopControl(), secrets).length, secrets.length)
  saw(`${Math.round(captured.length / 1024)} KiB captured, searched for ${secrets.length} secrets`)
})

scene(
  'an uninvited host gets no answer to a flood of requests, and does not keep others from pairing',
  async (stage) => {
    const { lab, device, saw } = stage
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const mallory = await lab.host('mallory', [home])
    const alice = await device('alice', [home])
    const bob = await device('bob', [home])
    await Promise.all([alice.device.up(), bob.device.up()])
    const targets = await Promise.all(
      [alice, bob].map(({ device: each, host }) => addressOf(each, host, home)),
    )

    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const flood = Flood.start(mallory, targets, 1_000)
    await flood.reached(1_000)
    const joined = await timed(() => bob.device.cli(['join', '-', '--yes'], { input: String(words) }))
    assert.equal(joined.result.code, 0, joined.result.stderr)
    assert.equal((await pairing.waitForEvent('paired')).device?.name, 'bob')
    await talkBothWays(alice.device, bob.device)
    const { sent, answered, failed, lastFailure, seconds: lasted } = await flood.stop()
    assert.equal(answered, 0)
    assert.ok(failed * 10 < sent, `${failed} requests were never sent: ${lastFailure}`)
    for (const each of [alice, bob]) {
      const devices = await each.device.devices()
      assert.equal(devices.length, 1, JSON.stringify(devices))
    }
    // The silence is for want of the words: with them, the same program is answered.
    const next = alice.device.spawnCli(['pair', '--yes'])
    const code = await next.waitForEvent('code')
    assert.equal(await askWithWords(mallory, targets[0] ?? '', String(code.words)), 'Challenge')
    assert.equal(await askWithWords(mallory, targets[0] ?? '', String(words)), 'Refused')
    assert.equal(await askWithWords(mallory, targets[1] ?? '', String(code.words)), 'silence')
    saw(
      `paired in ${joined.took} while ${sent} requests were sent in ${seconds(lasted * 1000)}, none answered`,
    )
  },
)

/** A few words occur in what libp2p itself says in clear: a code that has one of them proves nothing here. */
const wordsOfLibp2p = ['local', 'noise', 'service']

async function pairWithRareWords(
  alice: TestDevice,
  bob: TestDevice,
): Promise<{ words: string[]; sessionId: string }> {
  for (;;) {
    const pairing = alice.spawnCli(['pair', '--yes'])
    const code = await pairing.waitForEvent('code')
    const words = String(code.words).split(' ')
    if (words.some((word) => wordsOfLibp2p.includes(word))) {
      await pairing.interrupt()
      continue
    }
    const { code: exitCode, stderr } = await bob.cli(['join', '-', '--yes'], { input: String(code.words) })
    assert.equal(exitCode, 0, stderr)
    await pairing.waitForEvent('paired')
    await connectedBothWays(alice, bob)
    return { words, sessionId: String(code.sessionId) }
  }
}

function foundIn(captured: Buffer, secrets: Buffer[]): string[] {
  return secrets.filter((secret) => captured.includes(secret)).map(String)
}

async function sendInClear(host: Host, address: string, bytes: Buffer): Promise<void> {
  const program = `const [address, hex] = process.argv.slice(1)
    const socket = require('node:dgram').createSocket('udp4')
    socket.send(Buffer.from(hex, 'hex'), 4000, address, () => socket.close())`
  const { code, stderr } = await host.run(['node', '--eval', program, address, bytes.toString('hex')])
  assert.equal(code, 0, stderr)
}

async function addressOf(device: TestDevice, host: Host, lan: Lan): Promise<string> {
  const { listen = [] } = await device.status()
  const found = listen.find((each) => each.includes(`/${host.address(lan)}/`))
  assert.ok(found)
  return found
}
