import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeEvents, SpacedockNode } from '../../src/api.ts'
import { nextEvent, TestNodes } from './nodes.ts'

type Paired = CustomEvent<NodeEvents['pairing:failed']>

test('listeners come and go as those of a DOM EventTarget', async () => {
  await using nodes = new TestNodes()
  const node = await nodes.make('alice')
  const heard: string[] = []
  const listener =
    (name: string) =>
    ({ detail }: Paired): void =>
      void heard.push(`${name} ${detail.role}`)
  const end = new AbortController()
  const both = listener('removed')
  node.addEventListener('pairing:failed', listener('always'))
  node.addEventListener('pairing:failed', listener('once'), { once: true })
  node.addEventListener('pairing:failed', listener('until'), { signal: end.signal })
  node.addEventListener('pairing:failed', listener('too late'), { signal: AbortSignal.abort() })
  node.addEventListener('pairing:failed', { handleEvent: listener('object') }, { once: true })
  node.addEventListener('pairing:failed', both, { once: true, signal: end.signal })
  node.addEventListener('pairing:failed', both)
  node.removeEventListener('pairing:failed', both, { once: true })

  await fail(node)
  assert.deepEqual(heard.splice(0), [
    'always initiator',
    'once initiator',
    'until initiator',
    'object initiator',
  ])
  end.abort()
  await fail(node)
  assert.deepEqual(heard, ['always initiator'])
  // @ts-expect-error: there is no such event
  node.addEventListener('device:gone', () => {}, { once: true })
})

async function fail(node: SpacedockNode): Promise<void> {
  const failed = nextEvent(node, 'pairing:failed')
  const invitation = await node.pair()
  await invitation.cancel()
  await failed
}
