import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { pairDevices, type DeviceOptions, type LogEvent } from '../../device.ts'
import { onPath, sessionPaths } from '../homes.ts'
import type { NatKind } from '../lab.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { publicNodes, whyNoPublicNodes, type PublicNodes } from '../public-nodes.ts'
import { scene as play, seconds, timed, type Actor, type SceneOptions, type Stage } from '../scene.ts'
import { perMinute, showTraffic, TrafficMeter } from '../traffic.ts'

function scene(
  title: string,
  story: (stage: Stage) => Promise<void>,
  options: Pick<SceneOptions, 'timeoutMs'> = {},
): void {
  play(title, story, { obstacle: whyNoPublicNodes, ...options })
}

/** Two devices that have nothing in common but twelve words and the public network. */
async function twoStrangers(stage: Stage, nodes: PublicNodes, nat: NatKind, env: DeviceOptions['env'] = {}) {
  const { lab, device } = stage
  const options = {
    env,
    args: ['--dht', 'public', '--log-level', 'debug'],
    config: { dhtBootstrap: nodes.bootstrap },
  }
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
  const alice = await device('alice', [home], options)
  const bob = await device('bob', [work], options)
  await lab.router('router-home', { inside: home, outside: nodes.internet, nat })
  await lab.router('router-work', { inside: work, outside: nodes.internet, nat })
  return { alice, bob }
}

/** Neither the DHT's nodes nor the relays have met the devices: only hosts that nobody knows. */
async function remainUnknown(nodes: PublicNodes, devices: readonly Actor[]): Promise<void> {
  const seen = nodes.seenPeers()
  for (const { device } of devices) {
    const { lines } = await device.cli(['status'])
    const own = String(lines[0]?.['peerId'])
    assert.match(own, /^12D3KooW/u)
    assert.ok(!seen.has(own), `${device.name} has shown itself to the public network`)
  }
}

scene('two devices behind port-preserving NATs pair by the words alone, and talk directly', async (stage) => {
  const nodes = await publicNodes(stage.lab)
  const { alice, bob } = await twoStrangers(stage, nodes, 'port-preserving')
  await Promise.all([alice.device.up(), bob.device.up()])
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
  await talkBothWays(alice.device, bob.device)
  await remainUnknown(nodes, [alice, bob])
  stage.saw(`paired in ${paired.took}, direct ${direct.took} later`)
})

scene('two devices behind symmetric NATs pair, and carry small messages over relays', async (stage) => {
  const nodes = await publicNodes(stage.lab)
  const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric')
  await Promise.all([alice.device.up(), bob.device.up()])
  const paired = await timed(() => pairDevices(alice.device, bob.device))
  await onPath(alice.device, bob.device, 'relayed')
  await talkBothWays(alice.device, bob.device)
  await remainUnknown(nodes, [alice, bob])
  for (const one of [alice, bob]) assert.deepEqual(new Set(sessionPaths(one.device)), new Set(['relayed']))
  stage.saw(`paired in ${paired.took}; relayed`)
})

const relaySeconds = 30

scene(
  'over relays that carry little large messages wait, small ones pass them, and no device is lost',
  async (stage) => {
    const nodes = await publicNodes(stage.lab, { relaySeconds })
    const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric')
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'relayed')
    const startedAt = performance.now()
    const input = 'L'.repeat(200_000)
    const large = await alice.device.cli(['send', 'bob', '-'], { input })
    assert.deepEqual([large.code, large.lines[0]?.event], [0, 'queued'])
    for (let number = 1; number <= 10; number++) {
      const { lines, stderr } = await alice.device.cli(['send', 'bob', `small ${number}`])
      assert.equal(lines[0]?.event, 'delivered', stderr)
    }
    const waiting = await alice.device.cli(['outbox'])
    assert.deepEqual(
      waiting.lines.map(({ id, waitsFor }) => [id, waitsFor]),
      [[large.lines[0]?.id, 'better-path']],
    )
    assert.deepEqual(
      (await alice.device.devices()).map(({ limited }) => limited),
      [true],
    )
    const status = await alice.device.status()
    assert.ok((status['publicNetwork'] as { nodes: number }).nodes > 0)

    // Longer than two relayed connections in a row may live.
    while (performance.now() - startedAt < 2.2 * relaySeconds * 1_000) {
      await bob.device.waitForState('alice', 'connected', { deadlineMs: 1_000 })
      await alice.device.waitForState('bob', 'connected', { deadlineMs: 1_000 })
      await wait(1_000)
    }
    await talkBothWays(alice.device, bob.device)
    for (const { device } of [alice, bob]) assert.doesNotMatch(device.log, /"session.ended"/u)
    const sessions = sessionPaths(alice.device).length
    assert.ok(sessions >= 3 && sessions <= 12, `${sessions} sessions`)
    stage.saw(`${sessions} sessions in ${Math.round((performance.now() - startedAt) / 1_000)} s`)
  },
  { timeoutMs: 600_000 },
)

for (const firewall of [false, true]) {
  const at = firewall ? 'behind firewalls' : 'open to all'
  scene(
    `two devices with global IPv6 addresses, ${at}, pair by the words alone, and talk directly`,
    async (stage) => {
      const nodes = await publicNodes(stage.lab)
      const { lab, device, saw } = stage
      const options = { args: ['--dht', 'public'], config: { dhtBootstrap: nodes.bootstrap } }
      const home = await lab.lan('home', { ipv4: null, ipv6: '2a02:6501::/64' })
      const work = await lab.lan('work', { ipv4: null, ipv6: '2a02:6502::/64' })
      const alice = await device('alice', [home], options)
      const bob = await device('bob', [work], options)
      await lab.router('router-home', { inside: home, outside: nodes.internet, nat: 'none' })
      await lab.router('router-work', { inside: work, outside: nodes.internet, nat: 'none' })
      if (firewall) await Promise.all([alice, bob].map(({ host }) => host.firewall({ dropInbound: true })))
      await Promise.all([alice.device.up(), bob.device.up()])
      const paired = await timed(() => pairDevices(alice.device, bob.device))
      const direct = await timed(() => onPath(alice.device, bob.device, 'direct'))
      await talkBothWays(alice.device, bob.device)
      await remainUnknown(nodes, [alice, bob])
      saw(`paired in ${paired.took}, direct ${direct.took} later`)
    },
  )
}

scene(
  'the identities are new after an epoch has ended, and no session and no message is lost for that',
  async (stage) => {
    const nodes = await publicNodes(stage.lab)
    const env = { NODE_OPTIONS: `--import=${import.meta.resolve('../jumping-clock.ts')}` }
    const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric', env)
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'relayed')
    await Promise.all([holdsReservations(alice), holdsReservations(bob)])
    const before = nodes.seenPeers().size
    const sent: string[] = []
    const send = async (): Promise<void> => {
      const text = `message ${sent.push('')}`
      sent[sent.length - 1] = text
      const { lines, stderr } = await alice.device.cli(['send', 'bob', text])
      assert.equal(lines[0]?.event, 'delivered', stderr)
    }
    await send()
    for (const { device } of [alice, bob]) process.kill((await device.status()).pid ?? 0, 'SIGUSR2')
    const areRenewed = (): boolean =>
      [alice, bob].every(({ device }) => device.log.includes('"public-network.renewed"'))
    const renewed = await timed(async () => {
      do await send()
      while (!areRenewed())
    })
    const { atMs } = await alice.device.event(({ event }) => event === 'public-network.renewed')
    await alice.device.event((one) => one.event === 'dht.published' && one.atMs >= atMs)
    for (let more = 0; more < 3; more++) await send()
    const inbox = await bob.device.cli(['inbox'])
    assert.deepEqual(
      inbox.lines.map(({ text }) => text),
      sent,
    )
    assert.ok(nodes.seenPeers().size >= before + 2, 'both have shown another identity')
    for (const { device } of [alice, bob]) assert.doesNotMatch(device.log, /"session.ended"/u)
    await remainUnknown(nodes, [alice, bob])
    stage.saw(
      `renewed ${renewed.took} after the end of the epoch; ${sent.length} messages, all delivered at once`,
    )
  },
)

/** Whether this event of a device's log tells of the loss of its reservation at this relay, or of one at another. */
const reservationEvent =
  (event: 'reserved' | 'reservation-lost', relay: string, sinceMs: number) => (seen: LogEvent) =>
    seen.event === `public-relay.${event}` &&
    (seen['relay'] === relay) === (event === 'reservation-lost') &&
    seen.atMs >= sinceMs

scene(
  'a relay that dies, or falls silent, is replaced, and the devices talk again by themselves',
  async (stage) => {
    const nodes = await publicNodes(stage.lab, { nodes: 14, relays: 0, apart: 6 })
    const { alice, bob } = await twoStrangers(stage, nodes, 'symmetric')
    await Promise.all([alice.device.up(), bob.device.up()])
    await pairDevices(alice.device, bob.device)
    await onPath(alice.device, bob.device, 'relayed')
    for (const how of ['killed', 'silent'] as const) {
      const { address = '' } = await alice.device.waitForState('bob', 'connected')
      const relay = nodes.apart.find((each) => address?.startsWith(`/ip4/${each.address}/`))
      assert.ok(relay, `${address} is at none of the relays`)
      // Whoever is called has a reservation there, the other one may have.
      const holders = [alice, bob].filter(({ device }) => holdsReservationAt(device.log, relay.peer))
      assert.ok(holders.length > 0)
      const sinceMs = Date.now()
      if (how === 'killed') relay.process.kill('SIGKILL')
      else await relay.host.link(nodes.internet).drop()
      const replaced = await Promise.all(
        holders.map(async ({ device }) => {
          const lost = await device.event(reservationEvent('reservation-lost', relay.peer, sinceMs), {
            deadlineMs: 40_000,
          })
          const taken = await device.event(reservationEvent('reserved', relay.peer, lost.atMs), {
            deadlineMs: 10_000,
          })
          const isPublished = ({ event, atMs }: LogEvent): boolean =>
            event === 'dht.published' && atMs > taken.atMs
          const published = await device.event(isPublished, { deadlineMs: 10_000 })
          return [lost.atMs - sinceMs, taken.atMs - lost.atMs, published.atMs - taken.atMs]
        }),
      )
      const connected = await Promise.all(
        [alice, bob].map(({ device }) =>
          device.event(({ event, atMs }) => event === 'session.started' && atMs >= sinceMs),
        ),
      )
      await connectedBothWays(alice.device, bob.device)
      await talkBothWays(alice.device, bob.device)
      const [session = 0] = connected.map(({ atMs }) => atMs - sinceMs).sort((a, b) => b - a)
      const now = await alice.device.waitForState('bob', 'connected')
      assert.ok(
        !now.address?.startsWith(`/ip4/${relay.address}/`),
        'they are still at the relay that is gone',
      )
      for (const [noticed = 0, taken = 0, published = 0] of replaced) {
        stage.saw(
          `${how}: noticed after ${seconds(noticed)}, another place ${seconds(taken)} later, published ${seconds(published)} after that`,
        )
      }
      stage.saw(`${how}: they were connected again after ${seconds(session)}`)
    }
    await remainUnknown(nodes, [alice, bob])
  },
  { timeoutMs: 600_000 },
)

function holdsReservationAt(log: string, relay: string): boolean {
  const line = log
    .split('\n')
    .findLast((each) => /"public-relay\.(?:reserved|reservation-lost)"/u.test(each) && each.includes(relay))
  return line?.includes('"public-relay.reserved"') ?? false
}

/** Resolves when it has as many reservations at relays as it wants. */
async function holdsReservations({ device }: Actor): Promise<void> {
  await device.event(() => device.log.split('"public-relay.reserved"').length > 3)
}

/** Of each condition; longer ones than a beginning tell what a minute costs after it. */
const watchSeconds = Number(process.env['SPACEDOCK_LAB_SECONDS'] ?? 5)
const beginningSeconds = Math.min(watchSeconds, 10)

scene(
  'what the public network costs: idle, with a code open, joining, paired',
  async (stage) => {
    const nodes = await publicNodes(stage.lab)
    const { alice, bob } = await twoStrangers(stage, nodes, 'port-preserving')
    const prefixes = nodes.addresses
    const meter = await TrafficMeter.start(alice.host, prefixes)
    const joining = await TrafficMeter.start(bob.host, prefixes)
    // What a beginning costs comes once: as part of a minute it would be told several times over.
    const watch = async (what: string): Promise<number> => {
      await meter.take()
      await wait(beginningSeconds * 1_000)
      const beginning = await meter.take()
      stage.saw(`${what}, in the first ${beginningSeconds} s: ${showTraffic(beginning)}`)
      if (watchSeconds > beginningSeconds) {
        await wait((watchSeconds - beginningSeconds) * 1_000)
        stage.saw(`${what}, a minute after that: ${showTraffic(perMinute(await meter.take()))}`)
      }
      return beginning.bytesIn + beginning.bytesOut
    }
    await Promise.all([alice.device.up(), bob.device.up()])
    await Promise.all([holdsReservations(alice), holdsReservations(bob)])
    stage.saw(`entering, until three reservations are held: ${showTraffic(await meter.take())}`)
    const idle = await watch('idle')
    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const open = await watch('with a code open')
    await joining.take()
    const joined = await bob.device.cli(['join', '-', '--yes'], { input: `${words}\n` })
    assert.equal(joined.code, 0, joined.stderr)
    stage.saw(`joining, until paired: ${showTraffic(await joining.take())}`)
    await onPath(alice.device, bob.device, 'direct')
    const paired = await watch('paired and connected directly')
    // In one of them there may be nothing to say.
    assert.ok(idle + open + paired > 0)
    for (const bytes of [idle, open, paired]) assert.ok(bytes < maxBeginningBytes, `${bytes} bytes`)
  },
  { timeoutMs: 300_000 + 4 * watchSeconds * 1_000 },
)

/** In a beginning, which is when there is most, half of this was seen. */
const maxBeginningBytes = 1_000_000
