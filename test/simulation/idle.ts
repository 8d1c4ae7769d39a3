import assert from 'node:assert/strict'
import * as v from 'valibot'
import type { SpacedockNode } from '../../src/api.ts'
import { defineStream } from '../../src/network/application/protocol-definitions.ts'
import type { Simulation } from '../../src/testing/index.ts'

const idle = defineStream({ name: 'idle', version: 1, request: v.null() })

/**
 * Two devices on a perfect network, each of which opens a stream as soon as the other is connected, and leaves it alone: it stays, though
 * both dial at once, and neither hears more than once that the other is connected.
 */
export async function runIdle(simulation: Simulation): Promise<{ streams: number }> {
  const report = { streams: 0 }
  const broken: string[] = []
  const events: string[] = []

  const setUp = (node: SpacedockNode): void => {
    node.handle({
      ...idle,
      async handler(_request, { readable }) {
        for await (const _ of readable);
      },
    })
    node.addEventListener('device:disconnected', () => events.push(`${node.name}: disconnected`))
    node.addEventListener('device:connected', ({ detail }) => {
      events.push(`${node.name}: connected`)
      void hold(node, detail.id)
    })
  }
  const hold = async (node: SpacedockNode, id: string): Promise<void> => {
    try {
      const stream = await node.device(id).openStream(idle, null)
      report.streams++
      await stream.closed
      broken.push(`${node.name}: ended`)
    } catch (error) {
      broken.push(`${node.name} at ${simulation.now()} ms: ${String(error)}`)
    }
  }

  const a = await simulation.device('a', { setUp })
  const b = await simulation.device('b', { setUp })
  await simulation.pair(a, b)
  await simulation.pass(simulation.seed % 50 === 0 ? 2 * 3_600_000 : 10_000)
  assert.equal(broken.length, 0, broken.join('; '))
  assert.deepEqual(events.toSorted(), ['a: connected', 'b: connected'])
  assert.equal(report.streams, 2)
  return report
}
