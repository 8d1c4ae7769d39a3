import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as v from 'valibot'
import type { ByteStream, Protocol, StreamProtocol } from '../../src/api.ts'
import {
  defineEvent,
  defineProtocol,
  defineStream,
  isProtocolError,
  ProtocolError,
  UnknownProtocolError,
} from '../../src/index.ts'
import { until } from '../network/real-hosts.ts'
import { pairOfSuite } from './nodes.ts'

const files = defineStream({
  name: 'files',
  version: 1,
  request: v.object({ path: v.string() }),
  errors: { 'no-such-file': v.object({ path: v.string() }) },
})
const notes = {
  name: 'notes',
  request: v.object({ id: v.number() }),
  response: v.object({ text: v.string() }),
}
const declaring = defineProtocol({
  ...notes,
  version: 2,
  errors: { 'no-such-note': v.object({ id: v.number() }), 'read-only': v.null() },
})

describe('between two devices that are connected', () => {
  const { pair } = pairOfSuite()

  test('a byte stream is opened with a checked request, and read and written like any Web stream', async () => {
    const { bob, bobAtAlice, aliceAtBob } = pair()
    const asked: unknown[] = []
    const stop = bob.handle(
      withHandler(async ({ path }, stream, { device }) => {
        asked.push(path, device)
        await stream.readable.pipeTo(stream.writable)
      }),
    )
    const stream = await bobAtAlice.openStream(files, { path: '/etc/motd' })
    const sent = new Uint8Array(3_000_000).fill(7)
    const sending = new Blob([sent]).stream().pipeTo(stream.writable)
    assert.deepEqual(await readAll(stream), Buffer.from(sent))
    await Promise.all([sending, stream.closed])
    assert.deepEqual(asked, ['/etc/motd', aliceAtBob])
    const wrong = { path: 5 } as unknown as { path: string }
    await assert.rejects(bobAtAlice.openStream(files, wrong), { code: 'invalid-message' })
    const looser = defineStream({ name: 'files', version: 1, request: v.any() })
    await assert.rejects(bobAtAlice.openStream(looser, { path: 5 }), { code: 'invalid-message' })
    stop()
    await assert.rejects(bobAtAlice.openStream(files, { path: '' }), { code: 'unknown-protocol' })
  })

  test('an error that a stream declares reaches the reader with its data', async () => {
    const { bob, bobAtAlice } = pair()
    const stop = bob.handle(
      withHandler(async ({ path }, _stream, { error }) => {
        throw error('no-such-file', { path })
      }),
    )
    const stream = await bobAtAlice.openStream(files, { path: '/nowhere' })
    await assert.rejects(readAll(stream), (error) => {
      assert.ok(isProtocolError(error, files))
      assert.equal(error.data.path, '/nowhere')
      return true
    })
    stop()
  })

  test('a reader that stops early has its stream end in order, and the handler is told that it was called off', async () => {
    const { bob, bobAtAlice } = pair()
    const failed = Promise.withResolvers<unknown>()
    const stop = bob.handle(
      withHandler(async (_request, { writable }) => {
        const writer = writable.getWriter()
        for (;;)
          await writer.write(new Uint8Array(50_000)).catch((error: unknown) => {
            failed.resolve(error)
            throw error
          })
      }),
    )
    const stream = await bobAtAlice.openStream(files, { path: '/dev/zero' })
    for await (const chunk of stream.readable) if (chunk.byteLength > 0) break
    await stream.closed
    const told = await failed.promise
    assert.ok(told instanceof Error && 'code' in told && told.code === 'cancelled')
    stop()
  })

  test('a declared error arrives with its code and data; any other as a failure with its message and nothing else', async () => {
    const { bob, bobAtAlice } = pair()
    const secret = new ProtocolError('other/1', 'no-such-note', { secret: true }, 'of another protocol')
    const stop = bob.handle(
      defineProtocol({
        ...declaring,
        handler: ({ id }, { error }) => {
          if (id === 1) throw error('no-such-note', { id }, 'There is no note 1.')
          if (id === 2) throw error('read-only', null)
          if (id === 3) throw secret
          if (id === 4) throw error('no-such-note', { id: 'four' as unknown as number })
          if (id === 5) throw Object.assign(new Error('undeclared'), { data: 'secret' })
          return { text: 'note' }
        },
      }),
    )
    const failure = async (id: number, protocol: typeof declaring = declaring): Promise<unknown> =>
      bobAtAlice.request(protocol, { id }).catch((error: unknown) => error)
    const missing = await failure(1)
    assert.ok(isProtocolError(missing, declaring) && missing.code === 'no-such-note')
    assert.deepEqual([missing.data.id, missing.message], [1, 'There is no note 1.'])
    const readOnly = await failure(2)
    assert.ok(isProtocolError(readOnly, declaring) && readOnly.code === 'read-only')
    assert.equal(readOnly.data, null)
    for (const [id, message] of [
      [3, 'of another protocol'],
      [4, 'notes/2 failed: no-such-note.'],
      [5, 'undeclared'],
    ] as const) {
      const told = await failure(id)
      assert.ok(told instanceof Error && 'code' in told && !isProtocolError(told, declaring))
      assert.deepEqual([told.code, told.message], ['remote-failure', message])
      assert.ok(!JSON.stringify(Object.entries(told)).includes('secret'))
    }
    // Whoever does not know the declaration, or knows another one, sees a failure.
    const otherwise = {
      ...declaring,
      errors: { 'no-such-note': v.string() },
    }
    const unknown = await failure(1, otherwise as unknown as typeof declaring)
    assert.ok(unknown instanceof Error && 'code' in unknown && unknown.code === 'remote-failure')
    stop()
  })

  test('several versions of one name are served side by side; one that is not is refused with those that are', async () => {
    const { bob, bobAtAlice } = pair()
    assert.deepEqual(await bobAtAlice.versionsOf('notes'), [])
    const stops = [1, 3, 2].map((number) => bob.handle(version(number)))
    assert.deepEqual(await bobAtAlice.versionsOf('notes'), [3, 2, 1])
    assert.deepEqual(await bobAtAlice.request(version(2), { id: 1 }), { text: 'version 2' })
    await assert.rejects(bobAtAlice.request(version(4), { id: 1 }), (error) => {
      assert.ok(error instanceof UnknownProtocolError)
      assert.deepEqual([error.code, error.versions], ['unknown-protocol', [3, 2, 1]])
      assert.match(error.message, /does not serve notes\/4, only version 3 and 2 and 1\.$/u)
      return true
    })
    const stream = defineStream({ name: 'notes', version: 1, request: v.any() })
    const otherKind = { code: 'unknown-protocol', message: /another kind/u }
    // Only those of the kind that was asked for are of use.
    await assert.rejects(bobAtAlice.openStream(stream, null), { ...otherKind, versions: [] })
    stops.push(bob.handle({ ...stream, version: 9, handler: () => {} }))
    await assert.rejects(bobAtAlice.openStream(stream, null), { ...otherKind, versions: [9] })
    await assert.rejects(bobAtAlice.request(version(9), { id: 1 }), { ...otherKind, versions: [3, 2, 1] })
    for (const stop of stops) stop()
    await assert.rejects(bobAtAlice.request(version(1), { id: 1 }), (error) => {
      assert.ok(error instanceof UnknownProtocolError)
      assert.deepEqual(error.versions, [])
      return true
    })
  })

  test('events arrive in the order they were emitted in, also when their checks take longer for some', async () => {
    const { bob, bobAtAlice, aliceAtBob } = pair()
    const slowCheck = v.pipeAsync(
      v.number(),
      v.checkAsync(async (value) => {
        if (value % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
        return value >= 0
      }),
    )
    const moved = defineEvent({ name: 'moved', version: 1, event: slowCheck })
    const seen: number[] = []
    const stop = bob.handle(
      defineEvent({
        ...moved,
        handler: (value, { device }) => {
          assert.equal(device, aliceAtBob)
          seen.push(value)
        },
      }),
    )
    await Promise.all(Array.from({ length: 20 }, (_, index) => bobAtAlice.emit(moved, index)))
    await until(() => seen.length === 20, 'the events')
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, index) => index),
    )
    await assert.rejects(bobAtAlice.emit(moved, -1), { code: 'invalid-message' })
    stop()
    await bobAtAlice.emit(moved, 1)
    assert.equal(seen.length, 20, 'nobody is told that nobody serves it')
  })

  test('a definition that makes no sense is refused where it is made', () => {
    const bad = { name: 'Files', version: 1, request: v.any() }
    assert.throws(() => defineStream(bad), { code: 'invalid-argument' })
    assert.throws(() => defineStream({ ...bad, name: 'files', version: 0 }), { code: 'invalid-argument' })
    assert.throws(() => defineEvent({ name: 'e', version: 1, event: null as never }), {
      code: 'invalid-argument',
    })
    assert.throws(() => defineStream({ ...bad, name: 'files', errors: { 'No such': v.any() } }), {
      code: 'invalid-argument',
      message: /"No such" is not a code/u,
    })
    assert.throws(() => pair().bob.handle(defineEvent({ name: 'e', version: 1, event: v.any() })), {
      code: 'invalid-argument',
    })
    const ours = defineEvent({ name: 'spacedock-mine', version: 1, event: v.any(), handler: () => {} })
    assert.throws(() => pair().bob.handle(ours), { code: 'invalid-argument', message: /is taken/u })
  })
})

function version(number: number): Protocol<{ id: number }, { text: string }> {
  return defineProtocol({ ...notes, version: number, handler: () => ({ text: `version ${number}` }) })
}

type Handler = NonNullable<(typeof files)['handler']>

function withHandler(handler: Handler): StreamProtocol<{ path: string }, NonNullable<typeof files.errors>> {
  return { ...files, handler }
}

async function readAll(stream: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}
