import assert from 'node:assert/strict'
import type { Message, SpacedockNode } from '../../src/api.ts'
import type { SimulatedDevice, Simulation } from '../../src/testing/index.ts'

const dayMs = 24 * 3_600_000
const limits = { inboxMessages: 40, inboxDays: 30, outboxDays: 60 }

/**
 * A small inbox that one device floods while another sends a little, on machines whose wall clocks are set by months, and which are
 * killed, cut from their power, or have a full disk. What was acknowledged is read once, in order, under a number that was never given
 * before; the modest sender never waits for room; and in the end nothing is missing.
 */
export async function runBoxes(simulation: Simulation): Promise<Record<string, number>> {
  const chance = (probability: number): boolean => simulation.random() < probability
  const below = (limit: number): number => Math.floor(simulation.random() * limit)
  const counts = { sent: 0, acknowledged: 0, cuts: 0, jumps: 0, fillings: 0 }
  const acknowledged = new Set<string>()
  const setUp = (node: SpacedockNode): void =>
    node.addEventListener('message:delivered', ({ detail }) => acknowledged.add(detail.id))
  const make = (name: string): Promise<SimulatedDevice> =>
    simulation.device(name, { setUp, messages: limits })
  const [reader, flooder, modest] = [await make('reader'), await make('flooder'), await make('modest')]
  const senders = [flooder, modest]
  for (const sender of senders) await simulation.pair(reader, sender)
  const application = new Application(reader)
  const sent = new Set<string>()

  const send = (from: SimulatedDevice, count: number): void => {
    if (!from.isRunning) return
    for (let number = 0; number < count; number++) {
      counts.sent++
      const sending = from.node.device('reader').send(`${from.name} ${counts.sent}`)
      sending.then(({ id }) => sent.add(id)).catch(() => {})
    }
  }
  const read = (): void => {
    if (!reader.isRunning) return
    application.read()
    for (const id of acknowledged) assert.ok(application.has(id), `${id} was acknowledged, and is not there`)
    if (!modest.isRunning) return
    const held = modest.node.outbox().filter(({ waitsFor }) => waitsFor === 'inbox-full')
    assert.deepEqual(held, [], 'another device took the room of the modest one')
  }

  let sinceCleared = 0
  for (let step = 10 + below(15); step > 0; step--) {
    const what = simulation.random()
    if (what < 0.35) send(flooder, 1 + below(30))
    else if (what < 0.6 && sinceCleared < 5) {
      sinceCleared++
      send(modest, 1)
    } else if (what < 0.85) {
      const device = [reader, ...senders][below(3)]
      assert.ok(device !== undefined)
      if (chance(0.7)) {
        counts.jumps++
        device.setClock((chance(0.6) ? 1 : -1) * (40 + below(400)) * dayMs)
        if (chance(0.3)) await simulation.pass(31_000)
      }
      counts.cuts++
      if (chance(0.5)) read()
      if (chance(0.5)) device.crash()
      else device.cutPower()
      await simulation.until(device.restart())
    } else {
      counts.fillings++
      reader.fillDisk(true)
      await simulation.pass(below(20_000))
      reader.fillDisk(false)
    }
    await simulation.pass(below(chance(0.5) ? 200 : 70_000))
    read()
    if (chance(0.2)) {
      await clear(simulation, reader)
      sinceCleared = 0
    }
  }
  const isOver = (): boolean => senders.every(({ node }) => node.outbox().length === 0)
  for (let round = 0; round < 100 && !isOver(); round++) {
    await simulation.pass(70_000)
    read()
    await clear(simulation, reader)
  }
  assert.ok(isOver(), 'something waits for ever')
  read()
  for (const id of sent) assert.ok(application.has(id), `${id} was sent, and is nowhere`)
  counts.acknowledged = acknowledged.size
  return counts
}

async function clear(simulation: Simulation, { node, isRunning }: SimulatedDevice): Promise<void> {
  if (isRunning) await simulation.until(node.clearInbox())
}

/** An application that reads what is new, by the numbers of the inbox. */
class Application {
  readonly #device: SimulatedDevice
  readonly #seen = new Set<string>()
  readonly #last = new Map<string, number>()
  #after = 0

  constructor(device: SimulatedDevice) {
    this.#device = device
  }

  has(id: string): boolean {
    return this.#seen.has(id)
  }

  read(): void {
    for (const message of this.#device.node.inbox({ after: this.#after })) this.#take(message)
  }

  #take({ id, sequence, from, text = '' }: Message): void {
    assert.ok(!this.#seen.has(id), `${text} is there twice`)
    assert.ok(sequence > this.#after, `${text} has a number that was given before`)
    this.#seen.add(id)
    this.#after = sequence
    const number = Number(text.split(' ')[1])
    assert.ok(number > (this.#last.get(from.id) ?? 0), `${text} is out of order`)
    this.#last.set(from.id, number)
  }
}
