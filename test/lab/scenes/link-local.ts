import assert from 'node:assert/strict'
import { pairDevices, type TestDevice } from '../../device.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { listenMdns, type HeardRecords } from '../probes.ts'
import { scene, timed } from '../scene.ts'
import type { RunningProcess } from '../process.ts'

/** Cables on which machines have nothing but IPv6 link-local addresses. */

scene(
  'over a cable with link-local addresses alone two devices pair and talk',
  async ({ lab, device, saw }) => {
    const cable = await lab.lan('cable', {})
    const alice = await device('alice', [cable])
    const bob = await device('bob', [cable])
    await Promise.all([alice.device.up(), bob.device.up()])
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await connectedBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, bob.device)
    const { address } = await alice.device.waitForState('bob', 'connected')
    assert.match(String(address), /^(?:\/ip6zone\/eth0)?\/ip6\/fe80:/u)
    saw(`paired in ${paired.took}, at ${String(address).split('/p2p/')[0]}`)
  },
)

for (const { kind, addresses } of [
  { kind: 'IPv6', addresses: ['true', 'true'] },
  {
    kind: 'IPv4',
    addresses: [1, 2].map((n) => `ip -6 address flush dev eth0; ip address add 169.254.7.${n}/16 dev eth0`),
  },
]) {
  scene(
    `${kind} link-local addresses alone: what \`status\` shows leads to the other device without multicast`,
    async ({ lab, device, saw }) => {
      const cable = await lab.lan('cable', {})
      const alice = await device('alice', [cable])
      const bob = await device('bob', [cable])
      for (const [place, { host }] of [alice, bob].entries()) {
        await host.run(['sh', '-ec', addresses[place] ?? ''])
        await host.firewall({ dropMulticast: true })
      }
      await Promise.all([alice.device.up(), bob.device.up()])
      const { listen = [] } = await alice.device.status()
      assert.match(listen[0] ?? '', /^\/(?:ip6\/fe80:|ip4\/169\.254\.)/u)
      const joinArgs = listen.flatMap((address) => ['--peer', address])
      const paired = await timed(() => pairDevices(alice.device, bob.device, { joinArgs }))
      saw(`paired in ${paired.took}, at ${String(listen[0]).split('/p2p/')[0]}`)
    },
  )
}

scene(
  'an interface whose only address is a /32, and no IPv6: two devices hear of each other and pair',
  async ({ lab, device, saw }) => {
    const link = await lab.lan('link', {})
    const alice = await device('alice', [link])
    const bob = await device('bob', [link])
    for (const [{ host }, own, other] of [
      [alice, '10.9.0.1', '10.9.0.2'],
      [bob, '10.9.0.2', '10.9.0.1'],
    ] as const) {
      const commands = `ip -6 address flush dev eth0; ip address add ${own}/32 dev eth0; ip route add ${other} dev eth0`
      await host.run(['sh', '-ec', commands])
    }
    await Promise.all([alice.device.up(), bob.device.up()])
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await talkBothWays(alice.device, bob.device)
    saw(`paired in ${paired.took}`)
  },
)

scene(
  'next to a network of its own for each, the cable still joins the two',
  async ({ lab, device, saw }) => {
    const cable = await lab.lan('cable', {})
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
    const alice = await device('alice', [home, cable])
    const bob = await device('bob', [work, cable])
    await Promise.all([alice.device.up(), bob.device.up()])
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await connectedBothWays(alice.device, bob.device)
    const { address } = await bob.device.waitForState('alice', 'connected')
    assert.match(String(address), /^(?:\/ip6zone\/eth1)?\/ip6\/fe80:/u)
    saw(`paired in ${paired.took}, at ${String(address).split('/p2p/')[0]}`)
  },
)

scene(
  'other programs on such a cable hear of a better address first, and of a new one under a new name',
  async (stage) => {
    const { lab, device, saw } = stage
    const cable = await lab.lan('cable', {})
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const listener = await lab.host('listener', [cable])
    const heard = await listenMdns(listener, 'eth0')
    const both = await device('both', [home, cable])
    await both.device.up()
    const [first] = await heardAbout(heard, await peerIdOf(both.device))
    assert.match(first?.texts[0] ?? '', /^dnsaddr=\/ip4\/10\.1\.0\.1\//u, 'the first packet begins with IPv4')
    assert.match(
      first?.texts.at(-2) ?? '',
      /^dnsaddr=\/ip6\/fe80:/u,
      'and ends, before the marks, with what the cable has',
    )

    const poor = await device('poor', [cable])
    await poor.device.up()
    const poorId = await peerIdOf(poor.device)
    const [alone] = await heardAbout(heard, poorId)
    assert.match(alone?.texts[0] ?? '', /^dnsaddr=\/ip6\/fe80:/u)
    await poor.host.addInterface(home)
    const better = await timed(() =>
      heard.until(() =>
        records(heard).find(({ texts }) => texts[0]?.includes(poorId) && texts[0].includes('/ip4/')),
      ),
    )
    assert.notEqual(better.result.name, alone?.name)
    const goodbye = await heard.until(() =>
      records(heard).find(({ ttl, name }) => ttl === 0 && name === alone?.name),
    )
    assert.deepEqual(goodbye.texts, [])
    saw(`told of the new interface's address ${better.took} after it was plugged in`)
  },
)

async function peerIdOf(device: TestDevice): Promise<string> {
  return String((await device.status()).peerId)
}

function records(listening: RunningProcess): HeardRecords[] {
  return listening
    .lines()
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as HeardRecords)
}

/** What was heard of this peer, as soon as there is something. */
async function heardAbout(listening: RunningProcess, peerId: string): Promise<HeardRecords[]> {
  return await listening.until(() => {
    const about = records(listening).filter(({ texts }) => texts.some((text) => text.includes(peerId)))
    return about.length > 0 ? about : undefined
  })
}
