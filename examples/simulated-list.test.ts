/**
 * How an application tests itself in a simulated network: a shopping list on three devices, which has to be the same on all of
 * them in the end, whatever the network and the devices do meanwhile. An hour of it passes in milliseconds.
 *
 *     node --test examples/simulated-list.test.ts
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpacedockNode } from '../src/index.ts' // in your project: from 'spacedock'
import { simulate } from '../src/testing/index.ts' // in your project: from 'spacedock/testing'

/** The application: what one device adds it sends to the others, and the list is made of both. */
class ShoppingList {
  readonly #node: SpacedockNode
  readonly #own: string[] = []

  constructor(node: SpacedockNode) {
    this.#node = node
  }

  add(item: string): void {
    this.#own.push(item)
    for (const device of this.#node.devices()) void device.send(item)
  }

  items(): string[] {
    return [...this.#own, ...this.#node.inbox().map(({ text = '' }) => text)].toSorted()
  }
}

test('the list is the same everywhere in the end', async () => {
  const faults = { delayMs: [1, 300], drop: 0.1, duplicate: 0.1 } as const
  await simulate({ seeds: 10, faults }, async (simulation) => {
    const names = ['laptop', 'phone', 'tablet'] as const
    const devices = []
    for (const name of names) devices.push(await simulation.device(name))
    const [laptop, phone, tablet] = devices
    assert.ok(laptop && phone && tablet)
    await simulation.pair(laptop, phone)
    await simulation.pair(laptop, tablet)
    await simulation.pair(phone, tablet)
    const lists = devices.map(({ node }) => new ShoppingList(node))

    for (let number = 0; number < 20; number++) {
      const chance = simulation.random()
      if (chance < 0.2) simulation.partition([laptop], [phone, tablet])
      else if (chance < 0.4) simulation.heal()
      else if (chance < 0.5) phone.sleep()
      else if (chance < 0.6) phone.wake()
      else lists[number % lists.length]?.add(`item ${number}`)
      await simulation.pass(simulation.random() * 60_000)
    }

    simulation.heal()
    phone.wake()
    const [first, ...others] = lists
    const agree = (): boolean => others.every((list) => String(list.items()) === String(first?.items()))
    await simulation.until(agree, { withinMs: 3_600_000 })
  })
})
