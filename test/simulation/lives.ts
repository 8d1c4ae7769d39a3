import assert from 'node:assert/strict'
import * as v from 'valibot'
import type { ByteStream, Device, SpacedockNode } from '../../src/api.ts'
import {
  defineEvent,
  defineProtocol,
  defineStream,
} from '../../src/network/application/protocol-definitions.ts'
import type { SimulatedDevice, Simulation } from '../../src/testing/index.ts'
import { Undertakings } from './undertakings.ts'

const slow = defineProtocol({
  name: 'slow',
  version: 1,
  request: v.object({ id: v.string(), delayMs: v.number() }),
  response: v.string(),
})
const echo = defineStream({ name: 'echo', version: 1, request: v.object({ id: v.string() }) })
const news = defineEvent({ name: 'news', version: 1, event: v.string() })

export interface LivesReport {
  begun: number
  /** Of them, those that failed, as they had to: their owner was told. */
  told: number
  notices: number
}

/**
 * A random story of applications that live with two or three devices: they open a stream as soon as a device is connected and keep
 * it, ask for what takes seconds, send events and publications, while paths change, devices restart, and both sides dial at once.
 */
export async function runLives(
  simulation: Simulation,
  { hasRelay }: { hasRelay: boolean },
): Promise<LivesReport> {
  const undertakings = new Undertakings(simulation)
  const chance = (share: number): boolean => simulation.random() < share
  const below = (limit: number): number => Math.floor(simulation.random() * limit)
  const devices: SimulatedDevice[] = []
  const asleep = new Map<SimulatedDevice, () => void>()
  const arrivals = new Map<string, () => void>()
  const handled = new Set<string>()
  const held = new Set<Held>()
  const endings: (() => void)[] = []
  let lastId = 0

  const newId = (): string => String(++lastId)
  const isAsleep = (device: SimulatedDevice): boolean => asleep.has(device)
  const named = (name: string): SimulatedDevice => {
    const found = devices.find((device) => device.name === name)
    assert.ok(found)
    return found
  }

  /** What the application does with a new process. */
  const setUp = (name: string) => (node: SpacedockNode) => {
    node.handle({
      ...slow,
      async handler({ id, delayMs }, { device, signal }) {
        assert.ok(!handled.has(id), `request ${id} is handled twice`)
        handled.add(id)
        const serving = { what: 'handling request', id, owner: named(name), other: named(device.name) }
        const waited = new Promise<void>((resolve, reject) => {
          simulation.clock.setTimeout(resolve, delayMs)
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        })
        await undertakings.begin(serving, () => waited)
        return `answer ${id}`
      },
    })
    node.handle({
      ...echo,
      async handler({ id }, { readable, writable }, { device }) {
        const serving = { what: 'serving stream', id, owner: named(name), other: named(device.name) }
        await undertakings.begin(serving, () => readable.pipeTo(writable))
      },
    })
    node.handle({ ...news, handler: (id) => arrivals.get(`${id}@${name}`)?.() })
    node.addEventListener('device:disconnected', ({ detail }) => {
      undertakings.disconnected(named(name), named(detail.name))
    })
    node.addEventListener(
      'device:connected',
      ({ detail }) => void keepStream(named(name), named(detail.name)),
    )
    void (async () => {
      for await (const { value } of node.subscribe('news', { schema: v.string() }))
        arrivals.get(`${value}@${name}`)?.()
    })()
  }

  async function keepStream(owner: SimulatedDevice, other: SimulatedDevice): Promise<void> {
    const device = known(owner, other)
    if (device === undefined) return
    const about = { id: newId(), owner, other }
    const stream = await undertakings.begin({ what: 'opening stream', ...about, id: `o${about.id}` }, () =>
      device.openStream(echo, { id: about.id }),
    )
    if (stream === undefined) return
    const one = new Held(stream, about)
    held.add(one)
    await undertakings.begin({ what: 'stream', ...about }, () => stream.closed)
    held.delete(one)
  }

  const anyPair = (): [SimulatedDevice, SimulatedDevice] => {
    const one = below(devices.length)
    const other = (one + 1 + below(devices.length - 1)) % devices.length
    const pair = [devices[one], devices[other]]
    assert.ok(pair[0] && pair[1])
    return [pair[0], pair[1]]
  }
  const ask = ([owner, other]: [SimulatedDevice, SimulatedDevice]): void => {
    const device = known(owner, other)
    if (device === undefined) return
    const id = newId()
    void undertakings.begin({ what: 'request', id, owner, other }, async () => {
      assert.equal(
        await device.request(slow, { id, delayMs: chance(0.9) ? below(8_000) : below(29_000) }),
        `answer ${id}`,
      )
    })
  }
  const write = (): void => {
    const one = [...held][below(held.size)]
    if (one?.isOf(one.owner) !== true) return
    const about = { what: 'echo', id: newId(), owner: one.owner, other: one.other }
    void undertakings.begin(about, () => one.echo())
  }
  const tell = ([from, to]: [SimulatedDevice, SimulatedDevice]): void => {
    const id = newId()
    const device = known(from, to)
    if (device?.state !== 'connected') return
    arrivals.set(`${id}@${to.name}`, undertakings.notice('event', from, to))
    device.emit(news, id).catch(() => {})
  }
  const publish = async ([from]: [SimulatedDevice, SimulatedDevice]): Promise<void> => {
    const id = newId()
    if (!from.isRunning) return
    const reached = await from.node.publish('news', id)
    for (const { name } of reached)
      arrivals.set(`${id}@${name}`, undertakings.notice('publication', from, named(name)))
  }
  const wake = (): void => {
    for (const [device, end] of asleep) {
      device.wake()
      undertakings.awoke(device)
      end()
    }
    asleep.clear()
  }
  const heal = (): void => {
    simulation.heal()
    for (const end of endings.splice(0)) end()
  }
  const restart = async (device: SimulatedDevice): Promise<void> => {
    if (!device.isRunning) await simulation.until(device.restart())
  }
  const end = async (device: SimulatedDevice): Promise<void> => {
    if (!device.isRunning) return
    undertakings.gone(device)
    if (chance(0.5) || isAsleep(device)) device.crash()
    else await simulation.until(device.stop())
  }

  for (const name of ['ada', 'ben', 'cleo'].slice(0, chance(0.7) ? 2 : 3)) {
    const device = await simulation.device(name, { setUp: setUp(name) })
    devices.push(device)
  }
  const [first, ...others] = devices
  assert.ok(first)
  for (const other of others) await simulation.pair(first, other)
  const [second, third] = others
  if (second !== undefined && third !== undefined) await simulation.pair(second, third)

  const steps = 12 + below(20)
  for (let step = 0; step < steps; step++) {
    const what = simulation.random()
    if (what < 0.3) for (let number = below(4); number >= 0; number--) ask(anyPair())
    else if (what < 0.45) write()
    else if (what < 0.53) tell(anyPair())
    else if (what < 0.61) await publish(anyPair())
    else if (what < 0.69) {
      const pair = anyPair()
      simulation.block(...pair)
      const isOver = undertakings.disturb(pair, hasRelay ? 0 : Infinity)
      endings.push(isOver)
    } else if (what < 0.76) heal()
    else if (what < 0.8) {
      const [device] = anyPair()
      undertakings.disturb([device], 0)
      device.move()
    } else if (what < 0.88) {
      const both = anyPair()
      const ending = chance(0.4) ? both : both.slice(0, 1)
      await Promise.all(ending.map(end))
      if (chance(0.7)) await Promise.all(ending.map(restart))
    } else if (what < 0.91) await restart(anyPair()[0])
    else if (what < 0.93) {
      const [device] = anyPair()
      endings.push(undertakings.disturb(devices))
      simulation.partition([device])
    } else if (what < 0.95) {
      const [device] = anyPair()
      if (!asleep.has(device)) asleep.set(device, undertakings.disturb([device]))
      device.sleep()
    } else if (what < 0.97) wake()
    else simulation.faults({ delayMs: [1, 1 + below(150)], drop: chance(0.5) ? 0.02 : 0 })
    await simulation.pass(chance(0.4) ? below(50) : chance(0.7) ? below(3_000) : below(30_000))
    undertakings.check(isAsleep)
  }

  simulation.faults({})
  heal()
  wake()
  await Promise.all(devices.map(restart))
  await simulation.until(() => devices.every((one) => devices.every((other) => isConnected(one, other))), {
    withinMs: 180_000,
  })
  await simulation.pass(45_000)
  undertakings.check(isAsleep)
  // What is still open has to be alive, and ends when its owner ends it.
  for (const one of held) {
    const about = { what: 'last echo', id: newId(), owner: one.owner, other: one.other }
    if (one.isOf(one.owner)) void undertakings.begin(about, () => one.end())
  }
  await simulation.pass(5_000)
  undertakings.check(isAsleep)
  assert.deepEqual(undertakings.open(), [])
  const { begun, told, notices } = undertakings.counts
  return { begun, told, notices }
}

/** What the one that runs knows of the other. */
function known(from: SimulatedDevice, to: SimulatedDevice): Device | undefined {
  if (!from.isRunning) return undefined
  return from.node.devices().find((device) => device.name === to.name)
}

function isConnected(one: SimulatedDevice, other: SimulatedDevice): boolean {
  return one === other || known(one, other)?.state === 'connected'
}

/** A stream that an application keeps. */
class Held {
  readonly owner: SimulatedDevice
  readonly other: SimulatedDevice
  readonly #process: SpacedockNode
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #broken: Promise<never>
  #sentBytes = 0
  #seenBytes = 0
  readonly #waiting: { untilBytes: number; resolve: () => void }[] = []

  constructor(
    { readable, writable, closed }: ByteStream,
    { owner, other }: { owner: SimulatedDevice; other: SimulatedDevice },
  ) {
    this.owner = owner
    this.other = other
    this.#process = owner.node
    this.#writer = writable.getWriter()
    this.#broken = closed.then(() => new Promise<never>(() => {}))
    this.#broken.catch(() => {})
    void this.#read(readable).catch(() => {})
  }

  /** Whether the process that opened it runs. */
  isOf(owner: SimulatedDevice): boolean {
    return owner.isRunning && owner.node === this.#process
  }

  /** Resolves when the other side has sent back what is written now. Rejects when the stream breaks before. */
  async echo(): Promise<void> {
    const sent = this.#writer.write(new Uint8Array(100))
    this.#sentBytes += 100
    const back = new Promise<void>((resolve) => {
      this.#waiting.push({ untilBytes: this.#sentBytes, resolve })
    })
    await Promise.race([Promise.all([sent, back]), this.#broken])
  }

  async end(): Promise<void> {
    await this.echo()
    await this.#writer.close()
  }

  async #read(readable: ByteStream['readable']): Promise<void> {
    for await (const chunk of readable) {
      this.#seenBytes += chunk.byteLength
      for (const { untilBytes, resolve } of this.#waiting) if (untilBytes <= this.#seenBytes) resolve()
    }
  }
}
