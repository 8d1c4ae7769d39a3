import assert from 'node:assert/strict'
import { ip } from '../../lab/namespace.ts'
import { scene, type Actor, type Stage } from '../../lab/scene.ts'
import type { Host, Lan } from '../../lab/lab.ts'
import { joinMs, median, usageOfDaemon } from '../measure.ts'
import { MdnsFlood, type MdnsFloodOptions } from '../mdns-flooder.ts'

/** Joins in each half of a scene, each by a fresh device. */
const joins = 3
/** Longest time of a join amid a flood, in times of one without. */
const longestJoin = 5

const floods: { title: string; options: Omit<MdnsFloodOptions, 'from'> }[] = [
  {
    title: 'five packets a second with sixteen wrong addresses',
    options: { says: 'names', packetsPerSecond: 5 },
  },
  {
    title: '1,000 packets a second with sixteen wrong addresses',
    options: { says: 'names', packetsPerSecond: 1_000 },
  },
  { title: '38 packets a second with invented peers', options: { says: 'peers', packetsPerSecond: 38 } },
  {
    title: '1,000 packets a second with invented peers',
    options: { says: 'peers', packetsPerSecond: 1_000 },
  },
]

for (const { title, options } of floods) {
  scene(`${title} do not keep a join from the other device`, async (stage) => {
    const home = await stage.lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await stage.device('alice', [home])
    await alice.device.up()
    const quiet = await joinsOf(stage, home, alice, 'bob')
    const mallory = await stage.lab.host('mallory', [home])
    const from = await addAddresses(mallory, home, 40)
    const before = await usageOfDaemon(alice.device)
    const startedAt = performance.now()
    const flood = await MdnsFlood.start(mallory, { ...options, from })
    const loud = await joinsOf(stage, home, alice, 'carol')
    const { perSecond } = await flood.stop()
    const seconds = (performance.now() - startedAt) / 1_000
    const after = await usageOfDaemon(alice.device)
    stage.saw(
      `${perSecond} packets/s; join ${Math.round(median(quiet))} -> ${Math.round(median(loud))} ms (${loud.map(Math.round).join(', ')})`,
    )
    stage.saw(
      `a device: ${(((after.cpuSeconds - before.cpuSeconds) / seconds) * 100).toFixed(0)} % of a core, ${before.residentMiB} -> ${after.residentMiB} MiB`,
    )
    assert.ok(loud.every(Number.isFinite), 'every join succeeds')
    assert.ok(median(loud) <= longestJoin * median(quiet), 'and takes at most five times as long')
  })
}

async function joinsOf(stage: Stage, home: Lan, alice: Actor, name: string): Promise<number[]> {
  const times: number[] = []
  for (let join = 0; join < joins; join++) {
    const { device } = await stage.device(`${name}${join}`, [home])
    await device.up()
    times.push(await joinMs(alice.device, device))
    await device.down()
  }
  return times
}

/** Gives a host more addresses of its own network, as anybody may; returns all of them. */
async function addAddresses(host: Host, lan: Lan, count: number): Promise<string[]> {
  const more = Array.from({ length: count }, (_, at) => `10.1.0.${100 + at}`)
  const name = host.interfaceName(lan)
  await ip(
    host.namespace,
    more.map((address) => `address add ${address}/24 dev ${name}`),
  )
  return [host.address(lan), ...more]
}
