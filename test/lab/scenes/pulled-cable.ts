import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { breakPairing, exchanges, makePair, messagesOfPairing } from '../broken-pairing.ts'
import type { BreakIt, Outcome, Pair, UnderWay } from '../broken-pairing.ts'
import { connectedBothWays } from '../meeting.ts'
import { scene, timed } from '../scene.ts'

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
  { title: 'reset', breakIt: ({ proxy }: Pair) => proxy.reset() },
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
    { timeoutMs: 600_000 },
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

async function pullCable({ lan, alice, bob, proxy }: Pair, cutAt: number): Promise<void> {
  const link = (cutAt % 2 === 0 ? alice : bob).host.link(lan)
  await link.cut()
  await wait(outageMs)
  await link.heal()
  await proxy.release()
}

/** Looks for a message between those of the exchanges before and after; how many there are differs a little from one to another. */
async function hitAtLeastOnce(
  pair: Pair,
  wanted: UnderWay,
  outcomes: Outcome[],
  breakIt: BreakIt,
): Promise<void> {
  const order = [...exchanges, 'nothing']
  const last = Math.max(...outcomes.map(({ cutAt }) => cutAt))
  for (let tries = 0; tries < 12; tries += 1) {
    if (outcomes.some(({ underWay }) => underWay === wanted)) return
    const place = ({ underWay }: Outcome): number => order.indexOf(underWay) - order.indexOf(wanted)
    const before = Math.max(1, ...outcomes.filter((each) => place(each) < 0).map(({ cutAt }) => cutAt))
    const after = Math.min(last, ...outcomes.filter((each) => place(each) > 0).map(({ cutAt }) => cutAt))
    // A middle that was tried before is followed by its neighbours.
    const cutAt = Math.round((before + after) / 2) + (tries % 3) - 1
    outcomes.push(await breakPairing(pair, Math.max(1, cutAt), breakIt))
  }
  assert.fail(`never broken during ${wanted}: ${JSON.stringify(outcomes)}`)
}
