import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { defineStream, type SpacedockNode } from '../../src/index.ts'
import { simulate } from '../../src/testing/index.ts'

/** `npm run test:simulation` tells a thousand of these. */
const seeds = Number(process.env['SPACEDOCK_TEST_SEEDS'] ?? 60)

test('a stream that is opened as soon as the device is connected stays, though both devices dial at once', async () => {
  let opened = 0
  await simulate({ seeds }, async (simulation) => {
    const broken: string[] = []
    const idle = defineStream({ name: 'idle', version: 1, request: v.null() })
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
        opened++
        await stream.closed
        broken.push(`${node.name}: ended`)
      } catch (error) {
        broken.push(`${node.name} at ${simulation.now()} ms: ${String(error)}`)
      }
    }
    const a = await simulation.device('a', { setUp })
    const b = await simulation.device('b', { setUp })
    await simulation.pair(a, b)
    await simulation.pass(simulation.seed % 20 === 0 ? 2 * 3_600_000 : 10_000)
    assert.deepEqual(broken, [])
    assert.deepEqual(events.toSorted(), ['a: connected', 'b: connected'])
  })
  assert.equal(opened, 2 * seeds)
})
