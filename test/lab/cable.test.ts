import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLab, type CableOptions, type Host, type Lab } from './lab.ts'
import { answerUdp, floodUdp, roundTripsMs, transferMs } from './probes.ts'
import { whyNoLab } from './requirements.ts'

/** Two hosts, one of them at the end of such a cable. */
async function twoHosts(lab: Lab, cable: CableOptions): Promise<{ near: Host; far: Host; address: string }> {
  const lan = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const near = await lab.host('near', [lan])
  const far = await lab.host('far', [lan], cable)
  return { near, far, address: far.address(lan) }
}

/** Lower bounds hold on any machine; the upper ones leave one that is busy a lot of time, and find what is wrong by a factor. */
describe('a long cable', { skip: await whyNoLab({ cables: true }) }, () => {
  for (const delayMs of [0, 0.2, 30, 100]) {
    test(`delays by ${delayMs} ms each way`, async (context) => {
      await using lab = await createLab()
      const { near, far, address } = await twoHosts(lab, { delayMs })
      await answerUdp(far, address, 4000)
      const [best = Number.NaN] = (await roundTripsMs(near, address, 4000, 10)).sort((a, b) => a - b)
      context.diagnostic(`round trip ${best.toFixed(1)} ms`)
      assert.ok(best >= 2 * delayMs && best < 2 * delayMs + 25, `${best} ms`)
    })
  }

  test('carries no more than its rate, and nearly that', async (context) => {
    await using lab = await createLab()
    const { near, far, address } = await twoHosts(lab, { delayMs: 5, rateMbit: 8 })
    const tookMs = await transferMs(near, far, address, 4000, 1_000_000)
    context.diagnostic(`1 MB in ${tookMs.toFixed(0)} ms at 8 Mbit/s`)
    assert.ok(tookMs >= 1000 && tookMs < 3000, `${tookMs} ms`)
  })

  test('loses the share that was asked for, and without one nothing', async (context) => {
    for (const loss of [0, 0.2]) {
      await using lab = await createLab()
      const { near, far, address } = await twoHosts(lab, { loss })
      const arrived = await floodUdp(near, far, address, 4000, 1000)
      context.diagnostic(`${arrived} of 1000 frames arrived, loss ${loss}`)
      // Six standard deviations of a thousand throws are 0.076; a few frames are the two hosts' own housekeeping.
      assert.ok(Math.abs(arrived / 1000 - (1 - loss)) < (loss === 0 ? 0.03 : 0.08), `${arrived} arrived`)
    }
  })
})
