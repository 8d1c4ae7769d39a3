import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { CommandResult } from '../../command-output.ts'
import { pairDevices } from '../../device.ts'
import { CuttingProxy } from '../cutting-proxy.ts'
import type { Lan } from '../lab.ts'
import { connectedBothWays } from '../meeting.ts'
import { scene, timed, type Actor, type Stage } from '../scene.ts'

/**
 * The connection breaks in the middle of a pairing. A proxy, the only way from joiner to initiator, holds everything back
 * from one message on; then a cable is pulled for five seconds, or the connection is reset. It is done at messages that
 * are spread over the whole pairing, so that each of its exchanges is hit. Whatever happens, in the end both devices
 * are paired and connected, or neither is.
 */

const outageMs = 5_000
/** Points of the pairing at which it is broken, for each way of breaking it. */
const cuts = 14
const pairsAtOnce = 3

for (const { title, breakIt } of [
  { title: `pulled and plugged in again after ${outageMs / 1000} s`, breakIt: pullCable },
  { title: 'reset', breakIt: (pair: Pair) => pair.proxy.reset() },
]) {
  scene(
    `the connection is ${title} in the middle of each exchange: both are paired, or neither is`,
    async (stage) => {
      const lan = await stage.lab.lan('home', { ipv4: '10.1.0.0/24' })
      const pairs = await Promise.all(
        Array.from({ length: pairsAtOnce }, (_, index) => makePair(stage, lan, index + 1)),
      )
      const [first] = pairs
      assert.ok(first)
      const total = await messagesOfPairing(first)
      const points = Array.from({ length: cuts }, (_, index) => 1 + Math.round((index * (total - 1)) / cuts))
      const outcomes: Outcome[] = []
      await Promise.all(
        pairs.map(async (pair) => {
          for (let cutAt = points.shift(); cutAt !== undefined; cutAt = points.shift()) {
            outcomes.push(await breakPairing(pair, cutAt, breakIt))
          }
        }),
      )
      assert.equal(outcomes.length, cuts)
      for (const exchange of exchanges) await hitAtLeastOnce(first, exchange, outcomes, breakIt)
      const paired = outcomes.filter(({ result }) => result === 'paired').length
      const hits = [...exchanges, 'nothing' as const].map(
        (exchange) => `${exchange} ${outcomes.filter(({ underWay }) => underWay === exchange).length}`,
      )
      stage.saw(
        `${total} messages in a pairing; broken ${outcomes.length} times: ${paired} paired, ${outcomes.length - paired} neither`,
      )
      stage.saw(`under way: ${hits.join(', ')}`)
    },
    { timeoutMs: 240_000 },
  )
}

scene(
  'a cable is pulled for 5 s while each person is being asked, and the answers still arrive',
  async ({ lab, device, saw }) => {
    const lan = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const alice = await device('alice', [lan])
    const bob = await device('bob', [lan])
    await Promise.all([alice.device.up(), bob.device.up()])
    const pairing = alice.device.spawnCli(['pair', '--confirm-on-stdin'])
    const { words } = await pairing.waitForEvent('code')
    const joining = bob.device.spawnCli(['join', '-', '--confirm-on-stdin'])
    joining.write(`${String(words)}\n`)
    const whenBack: string[] = []
    for (const [asked, unplugged] of [
      [pairing, bob],
      [joining, alice],
    ] as const) {
      await asked.waitForEvent('confirm')
      const link = unplugged.host.link(lan)
      await link.cut()
      asked.write('yes\n')
      await wait(outageMs)
      await link.heal()
      const next = asked === pairing ? joining.waitForEvent('confirm') : joining.waitForEvent('paired')
      whenBack.push((await timed(() => next)).took)
    }
    const ends = await Promise.all([pairing.finished(90_000), joining.finished(90_000)])
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0],
    )
    await connectedBothWays(alice.device, bob.device)
    saw(`after the cable was plugged in, it went on in ${whenBack.join(' and ')}`)
  },
)

