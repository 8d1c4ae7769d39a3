import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PairingProgress, ReachabilityFinding } from '../../src/api.ts'
import { createSimulation, type Firewall } from '../../src/testing/index.ts'

const closed: Firewall[] = ['drop', 'reject']

for (const kind of closed) {
  for (const who of ['initiator', 'joiner'] as const) {
    test(`a firewall on the ${who} that says ${kind}: they pair, and meet again whoever restarts`, async () => {
      await using simulation = createSimulation()
      const initiator = await simulation.device('initiator')
      const joiner = await simulation.device('joiner')
      simulation.firewall(who === 'initiator' ? initiator : joiner, kind)
      const startedAt = simulation.now()
      const { seenByOne, seenByOther } = await simulation.pair(initiator, joiner)
      assert.ok(simulation.now() - startedAt < 3_000, `after ${simulation.now() - startedAt} ms`)
      assert.deepEqual([seenByOne.state, seenByOther.state], ['connected', 'connected'])
      for (const order of [
        [initiator, joiner],
        [joiner, initiator],
      ] as const) {
        for (const device of order) await simulation.until(device.stop())
        for (const device of order) await simulation.until(device.restart())
        const isTogether = (): boolean =>
          order.every(({ node }) => node.devices().every(({ state }) => state === 'connected'))
        await simulation.until(isTogether, { withinMs: 20_000 })
      }
    })
  }

  test(`firewalls on both that say ${kind} are told on both sides, once, and opening one helps`, async () => {
    await using simulation = createSimulation()
    const initiator = await simulation.device('initiator')
    const joiner = await simulation.device('joiner')
    for (const device of [initiator, joiner]) simulation.firewall(device, kind)
    const told: { by: string; atMs: number; finding: ReachabilityFinding }[] = []
    const startedAt = simulation.now()
    const listen = (by: string) => (progress: PairingProgress) => {
      if (progress.kind !== 'obstacle') return
      told.push({ by, atMs: simulation.now() - startedAt, finding: progress.finding })
    }
    const { words, paired } = await simulation.until(initiator.node.pair({ onProgress: listen('initiator') }))
    const joining = joiner.node.join(words, { onProgress: listen('joiner') })
    await simulation.pass(60_000)
    assert.deepEqual(told.map(({ by }) => by).sort(), ['initiator', 'joiner'])
    for (const { atMs, finding } of told) {
      assert.ok(atMs < 6_000, `${atMs} ms`)
      assert.equal(finding.cause, kind === 'drop' ? 'no-answer' : 'refused')
      assert.equal(finding.known, 'seen')
      assert.deepEqual(finding.remedies, ['open-there', 'open-here'])
    }
    simulation.firewall(joiner, 'open')
    await simulation.until(Promise.all([paired, joining]), { withinMs: 20_000 })
  })
}

test('a joiner that only the initiator can reach hears that its code was cancelled a moment ago', async () => {
  await using simulation = createSimulation()
  const initiator = await simulation.device('initiator')
  const joiner = await simulation.device('joiner')
  simulation.firewall(initiator)
  const invitation = await simulation.until(initiator.node.pair())
  invitation.paired.catch(() => {})
  await simulation.pass(3_000)
  await simulation.until(invitation.cancel())
  await simulation.pass(3_000)
  const joining = joiner.node.join(invitation.words)
  await assert.rejects(simulation.until(joining, { withinMs: 10_000 }), { code: 'cancelled' })
})

test('the error at the end names the cause; without one it is the usual error', async () => {
  await using simulation = createSimulation()
  const initiator = await simulation.device('initiator')
  const joiner = await simulation.device('joiner')
  const { words, paired } = await simulation.until(initiator.node.pair())
  paired.catch(() => {})
  for (const device of [initiator, joiner]) simulation.firewall(device)
  const failed = (): Promise<unknown> =>
    simulation.until(joiner.node.join(words, { timeoutMs: 10_000 })).catch((error: unknown) => error)
  const { message } = (await failed()) as Error
  assert.match(
    message,
    /^No device that shows this code was found: TCP port 4001 at 10\.0\.\S+ does not answer\.$/u,
  )
  await simulation.until(initiator.stop())
  const { message: alone } = (await failed()) as Error
  assert.equal(alone, 'No device that shows this code was found.')
})

test('an initiator that nobody joins is told nothing, whatever firewalls there are', async () => {
  await using simulation = createSimulation()
  const initiator = await simulation.device('initiator')
  const others = await Promise.all([simulation.device('one'), simulation.device('other')])
  for (const device of [initiator, ...others]) simulation.firewall(device)
  await simulation.pass(60_000)
  const kinds: string[] = []
  const { paired } = await simulation.until(
    initiator.node.pair({ onProgress: ({ kind }) => kinds.push(kind) }),
  )
  await assert.rejects(simulation.until(paired, { withinMs: 400_000 }), {
    message: 'The code expired before a device used it.',
  })
  assert.ok(!kinds.includes('obstacle'), String(kinds))
})

test('a device that was switched off has no firewall; one that is there and does not answer has', async () => {
  await using simulation = createSimulation()
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne } = await simulation.pair(laptop, phone)
  // The connection of the pairing is closed by then: a firewall lets pass what belongs to one.
  await simulation.pass(10_000)
  phone.sleep()
  await simulation.pass(120_000)
  assert.deepEqual([seenByOne.state, seenByOne.lastFailure?.finding], ['disconnected', null])
  for (const device of [laptop, phone]) simulation.firewall(device)
  phone.wake()
  await simulation.until(() => (seenByOne.lastFailure?.finding ?? null) !== null, { withinMs: 180_000 })
  assert.match(seenByOne.lastFailure?.message ?? '', /^It is on this network at 10\.0\./u)
  assert.match(seenByOne.lastFailure?.hint ?? '', /TCP port 4001/u)
})
