import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as v from 'valibot'
import { defineProtocol, defineStream, SpacedockError, type SpacedockNode } from '../../src/index.ts'
import { createSimulation, simulate, type Simulation } from '../../src/testing/index.ts'

const dayMs = 24 * 3_600_000

describe('a simulation', () => {
  test('takes the same course for the same seed, to the last log line, and another one for another', async () => {
    const [once, again, other] = [await course(5), await course(5), await course(6)]
    assert.ok(once.length > 40, String(once.length))
    assert.deepEqual(again, once)
    assert.notDeepEqual(other, once)
  })

  test('lets no time pass by itself', async () => {
    await using simulation = createSimulation()
    await simulation.device('laptop')
    assert.equal(simulation.now(), 0)
    await simulation.pass(dayMs)
    assert.equal(simulation.now(), dayMs)
  })

  test('says so when something does not come to pass in time', async () => {
    await using simulation = createSimulation()
    const failure = isError('timed-out')
    await assert.rejects(
      simulation.until(() => false, { withinMs: 5_000 }),
      failure,
    )
    assert.equal(simulation.now(), 5_000)
    await assert.rejects(simulation.until(new Promise(() => {}), { withinMs: 5_000 }), failure)
    await assert.rejects(simulation.until(Promise.reject(new RangeError('mine'))), RangeError)
  })

  test('takes no names twice and no faults that make no sense', async () => {
    await using simulation = createSimulation()
    await simulation.device('laptop')
    await assert.rejects(simulation.device('laptop'), isError('invalid-argument'))
    for (const faults of [
      { drop: 1 },
      { drop: -0.1 },
      { duplicate: 2 },
      { delayMs: -1 },
      { delayMs: [5, 1] as const },
      { delayMs: NaN },
      { drop: NaN },
    ]) {
      assert.throws(() => simulation.faults(faults), isError('invalid-argument'), JSON.stringify(faults))
    }
  })

  test('names the seed of a story that fails, and tells it again alone', async (context) => {
    const told: number[] = []
    const story = async ({ seed }: Simulation): Promise<void> => {
      told.push(seed)
      if (seed === 3) throw new TypeError('mine')
    }
    await assert.rejects(simulate({ seeds: 5 }, story), isThirdStory)
    assert.deepEqual(told.splice(0), [1, 2, 3])
    process.env['SPACEDOCK_SEED'] = '3'
    context.after(() => delete process.env['SPACEDOCK_SEED'])
    await assert.rejects(simulate({ seeds: 5 }, story), isThirdStory)
    assert.deepEqual(told, [3])
  })
})

describe('simulated devices', () => {
  test('are real in all but machine, disk and network: requests, streams and messages', async () => {
    const double = defineProtocol({ name: 'double', version: 1, request: v.number(), response: v.number() })
    const numbers = defineStream({ name: 'numbers', version: 1, request: v.number() })
    await using simulation = createSimulation({ faults: { delayMs: 40 } })
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone', {
      setUp(node) {
        node.handle({ ...double, handler: (number) => 2 * number })
        node.handle({
          ...numbers,
          async handler(byteLength, { writable }) {
            const writer = writable.getWriter()
            for (let sent = 0; sent < byteLength; sent += 50_000) await writer.write(new Uint8Array(50_000))
            await writer.close()
          },
        })
      },
    })
    const { seenByOne: device, seenByOther } = await simulation.pair(laptop, phone)
    assert.equal(device.name, 'phone')
    assert.equal(seenByOther.name, 'laptop')
    assert.equal(await simulation.until(device.request(double, 21)), 42)
    assert.equal((await simulation.until(device.ping())).roundTripMs, 80)
    assert.equal((await simulation.until(device.send('hello'))).status, 'delivered')
    assert.deepEqual(
      phone.node.inbox().map(({ text, from }) => [text, from.name]),
      [['hello', 'laptop']],
    )

    const { readable } = await simulation.until(device.openStream(numbers, 5_000_000))
    let received = 0
    for (const reader = readable.getReader(); ;) {
      const { value } = await simulation.until(reader.read())
      if (value === undefined) break
      received += value.byteLength
      if (received < 1_000_000) await simulation.pass(200)
    }
    assert.equal(received, 5_000_000)
  })

  test('get everything once and in order through a network that loses, doubles and delays', async () => {
    await simulate(
      { seeds: 20, faults: { delayMs: [1, 300], drop: 0.3, duplicate: 0.3 } },
      async (simulation) => {
        const laptop = await simulation.device('laptop')
        const phone = await simulation.device('phone')
        const { seenByOne } = await simulation.pair(laptop, phone)
        const texts = Array.from({ length: 40 }, (_, number) => String(number))
        for (const text of texts) void seenByOne.send(text)
        await simulation.until(() => phone.node.inbox().length >= texts.length)
        await simulation.pass(30_000)
        assert.deepEqual(
          phone.node.inbox().map(({ text }) => text),
          texts,
        )
      },
    )
  })

  test('notice a partition within ten seconds, and find each other when it heals', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const tablet = await simulation.device('tablet')
    const { seenByOne: phoneOfLaptop } = await simulation.pair(laptop, phone)
    const { seenByOther: phoneOfTablet } = await simulation.pair(phone, tablet).then(({ seenByOther }) => ({
      seenByOther,
    }))
    simulation.partition([laptop], [phone])
    await simulation.until(() => phoneOfLaptop.state === 'disconnected', { withinMs: 10_000 })
    assert.equal(phoneOfTablet.state, 'connected')
    await simulation.pass(3_600_000)
    simulation.heal()
    await simulation.until(() => phoneOfLaptop.state === 'connected', { withinMs: 61_000 })
  })

  test('sleep: their clock stands still, and what waits for them arrives when they wake', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne } = await simulation.pair(laptop, phone)
    const uptimeMs = (): number => phone.node.status().uptimeMs
    await simulation.pass(1_000)
    const before = uptimeMs()
    phone.sleep()
    const sending = seenByOne.send('good morning')
    await simulation.pass(dayMs)
    assert.equal((await sending).status, 'queued')
    assert.equal(uptimeMs(), before)
    phone.wake()
    await simulation.until(() => phone.node.inbox().length === 1, { withinMs: 15_000 })
    assert.ok(uptimeMs() - before < 15_000)
  })

  test('move to another address without a word, and go on', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
    const address = seenByOther.address
    laptop.move()
    const sending = seenByOne.send('from elsewhere')
    await simulation.until(() => phone.node.inbox().length === 1, { withinMs: 15_000 })
    await simulation.until(sending)
    assert.notEqual(seenByOther.address, address)
  })

  test('crash without a word, keep what was written, and start again', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne } = await simulation.pair(laptop, phone)
    phone.crash()
    assert.throws(() => phone.node, isError('closed'))
    await simulation.until(() => seenByOne.state === 'disconnected')
    const { status } = await simulation.until(seenByOne.send('are you there?'))
    assert.equal(status, 'queued')
    laptop.crash()
    await laptop.restart()
    await phone.restart()
    await assert.rejects(phone.restart(), isError('invalid-argument'))
    await simulation.until(() => phone.node.inbox().length === 1)
    assert.deepEqual(
      phone.node.devices().map(({ name }) => name),
      ['laptop'],
    )
  })

  for (const moment of ['before', 'after'] as const) {
    test(`crash in the middle of a write, ${moment} it is durable`, async () => {
      await using simulation = createSimulation()
      const laptop = await simulation.device('laptop')
      const phone = await simulation.device('phone')
      const { seenByOne } = await simulation.pair(laptop, phone)
      await simulation.pass(1_000)
      const crashed = phone.crashAtWrite({ moment })
      const sending = seenByOne.send('once')
      await simulation.until(crashed)
      assert.equal(phone.isRunning, false)
      simulation.partition([laptop], [phone])
      await simulation.until(phone.restart())
      assert.equal(phone.node.inbox().length, moment === 'before' ? 0 : 1)
      simulation.heal()
      await simulation.until(() => laptop.node.outbox().length === 0)
      assert.equal(phone.node.inbox().length, 1)
      await simulation.until(sending)
    })
  }

  test('have wall clocks of their own', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne } = await simulation.pair(laptop, phone)
    laptop.setClock(-365 * dayMs)
    await simulation.until(seenByOne.send('from last year'))
    const [message] = phone.node.inbox()
    assert.match(message?.at ?? '', /^2022-11-14T/u)
    assert.equal(seenByOne.state, 'connected')
  })

  test('that are revoked are cut off and told', async () => {
    await using simulation = createSimulation()
    const laptop = await simulation.device('laptop')
    const phone = await simulation.device('phone')
    const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
    await simulation.until(seenByOne.revoke())
    await simulation.until(() => seenByOther.needsPairing === 'revoked')
    await assert.rejects(seenByOther.send('hello?'), isError('not-paired'))
    const { seenByOther: anew } = await simulation.pair(laptop, phone)
    assert.equal(anew.state, 'connected')
  })
})

/** All that two devices log while much happens to them. */
async function course(seed: number): Promise<string[]> {
  const lines: string[] = []
  await using simulation = createSimulation({
    seed,
    faults: { delayMs: [1, 80], drop: 0.1, duplicate: 0.1 },
    log: (line) => lines.push(JSON.stringify(line)),
  })
  const laptop = await simulation.device('laptop')
  const phone = await simulation.device('phone')
  const { seenByOne } = await simulation.pair(laptop, phone)
  for (let number = 0; number < 20; number++) {
    void seenByOne.send(String(number))
    await simulation.pass(simulation.random() * 500)
    if (number === 8) phone.crash()
    if (number === 12) await phone.restart()
  }
  await simulation.pass(120_000)
  lines.push(JSON.stringify(phone.node.inbox()), JSON.stringify(laptop.node.metrics()))
  return lines
}

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SpacedockError && error.code === code
}

function isThirdStory(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Seed 3 ') && error.cause instanceof TypeError
}

describe('simulated devices with a relay', () => {
  test('go over to it within five seconds of a block, and back as soon as it ends; what was begun ends where it was begun', async () => {
    const hold = defineStream({ name: 'hold', version: 1, request: v.null() })
    await using simulation = createSimulation({ relay: true, faults: { delayMs: 20 } })
    const events: string[] = []
    const setUp = (node: SpacedockNode): void => {
      node.handle({
        ...hold,
        async handler(_request, { readable, writable }) {
          await readable.pipeTo(writable)
        },
      })
      for (const type of ['device:connected', 'device:disconnected', 'device:path-changed'] as const) {
        node.addEventListener(type, ({ detail }) => events.push(`${node.name}: ${type} ${detail.path}`))
      }
    }
    const laptop = await simulation.device('laptop', { setUp })
    const phone = await simulation.device('phone', { setUp })
    const { seenByOne, seenByOther } = await simulation.pair(laptop, phone)
    const isOn = (path: string) => (): boolean => seenByOne.path === path && seenByOther.path === path
    assert.ok(isOn('direct')())
    await simulation.pass(60_000)
    events.length = 0

    const direct = await simulation.until(seenByOne.openStream(hold, null))
    const cut = assert.rejects(direct.closed, isError('interrupted'))
    simulation.block(laptop, phone)
    const blockedAt = simulation.now()
    await simulation.until(isOn('relayed'), { withinMs: 5_500 })
    await simulation.until(seenByOne.ping(), { withinMs: 200 })
    await simulation.until(cut, { withinMs: 10_000 })
    assert.ok(simulation.now() - blockedAt <= 9_100, 'told when it was silent for nine seconds')

    const relayed = await simulation.until(seenByOne.openStream(hold, null))
    simulation.heal()
    await simulation.until(isOn('direct'), { withinMs: 130_000 })
    await simulation.pass(3_600_000)
    const writer = relayed.writable.getWriter()
    void writer.write(new Uint8Array([42])).then(() => writer.close())
    const { value } = await simulation.until(relayed.readable.getReader().read())
    assert.deepEqual(value, new Uint8Array([42]))
    await simulation.until(relayed.closed)
    assert.deepEqual(events.toSorted(), [
      'laptop: device:path-changed direct',
      'laptop: device:path-changed relayed',
      'phone: device:path-changed direct',
      'phone: device:path-changed relayed',
    ])
  })
})
