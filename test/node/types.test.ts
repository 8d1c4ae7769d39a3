import { test } from 'node:test'
import * as v from 'valibot'
import type { ByteStream, Device, ProtocolErrorOf, Publication, SpacedockNode } from '../../src/index.ts'
import { defineEvent, defineProtocol, defineStream, isProtocolError } from '../../src/index.ts'

/** What is inferred from schemas: `npm run check` fails when it is not, and the tests here have nothing left to do. */
type Equal<A, B> = [A, B] extends [B, A]
  ? [keyof A, keyof B] extends [keyof B, keyof A]
    ? true
    : false
  : false
const same = <A, B>(_yes: Equal<A, B>): void => {}

const schema = v.object({ id: v.number() })
const protocol = defineProtocol({
  name: 'notes',
  version: 1,
  request: schema,
  response: v.string(),
  errors: { gone: v.object({ since: v.string() }), locked: v.null() },
  handler: ({ id }, { error }) => {
    same<typeof id, number>(true)
    // @ts-expect-error: such an error is not declared
    error('other', null)
    // @ts-expect-error: its data is of another type
    error('gone', { since: 5 })
    if (id === 1) throw error('gone', { since: 'yesterday' })
    return 'text'
  },
})
const plain = defineProtocol({ name: 'plain', version: 1, request: schema, response: v.string() })
const stream = defineStream({
  name: 'files',
  version: 1,
  request: schema,
  handler: ({ id }, bytes, { error }) => {
    same<typeof id, number>(true)
    same<typeof bytes, ByteStream>(true)
    // @ts-expect-error: no errors are declared
    error('gone', null)
  },
})
const event = defineEvent({
  name: 'moved',
  version: 1,
  event: schema,
  handler: ({ id }) => same<typeof id, number>(true),
})

async function uses(device: Device, node: SpacedockNode, error: unknown): Promise<void> {
  const text = await device.request(protocol, { id: 1 })
  same<typeof text, string>(true)
  const other = await device.request(plain, { id: 1 })
  same<typeof other, string>(true)
  // @ts-expect-error: the request is of another type
  await device.request(protocol, { id: 'one' })
  const opened = await device.openStream(stream, { id: 1 })
  same<typeof opened, ByteStream>(true)
  // @ts-expect-error: the request is of another type
  await device.openStream(stream, {})
  // @ts-expect-error: the event is of another type
  await device.emit(event, 'here')
  // @ts-expect-error: a stream is not asked for one answer
  await device.request(stream, { id: 1 })
  if (isProtocolError(error, protocol)) {
    same<typeof error, ProtocolErrorOf<NonNullable<typeof protocol.errors>>>(true)
    if (error.code === 'gone') same<typeof error.data, { since: string }>(true)
    else same<typeof error.data, null>(true)
  }
  for await (const publication of node.subscribe('topic', { schema })) {
    same<typeof publication, Publication<{ id: number }>>(true)
  }
  for await (const { value } of node.subscribe('topic')) same<typeof value, unknown>(true)
  for (const each of [node.handle(protocol), node.handle(stream), node.handle(event)]) each()
}

test('types are inferred from schemas', () => {
  void uses
})
