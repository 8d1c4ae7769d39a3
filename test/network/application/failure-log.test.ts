import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as v from 'valibot'
import type { ByteStream, Device } from '../../../src/api.ts'
import { createLog } from '../../../src/daemon/log.ts'
import { SpacedockError } from '../../../src/errors.ts'
import { ApplicationProtocols } from '../../../src/network/application/application-protocols.ts'
import {
  defineEvent,
  defineProtocol,
  defineStream,
} from '../../../src/network/application/protocol-definitions.ts'
import { asPeer } from '../../peers.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { call } from '../session/calls.ts'

const request = v.object({ text: v.string() })
const response = v.object({ length: v.number() })
const signal = new AbortController().signal
const fitting = { text: 'a secret' }

let lines: Record<string, unknown>[] = []
let protocols = newProtocols()
beforeEach(() => {
  lines = []
  protocols = newProtocols()
})

function newProtocols(): ApplicationProtocols {
  const log = createLog((line) => lines.push(JSON.parse(line) as Record<string, unknown>), {
    level: () => 'debug',
  })
  const protocols = new ApplicationProtocols(log)
  protocols.serveTo({ trusted: (peer) => (peer === 'laptop' ? ({} as Device) : undefined) })
  return protocols
}

function serve(handler: () => never | Promise<never>): void {
  protocols.register(defineProtocol({ name: 'notes', version: 2, request, response, handler }))
}

function failing(): never {
  throw new Error('out of paper')
}

function anyStream(): ByteStream {
  return {} as ByteStream
}

async function ask(value: unknown, options: { peerId?: PeerId; signal?: AbortSignal } = {}): Promise<void> {
  await assert.rejects(
    protocols.request(call('notes', 2, value), { peerId: asPeer('laptop'), signal, ...options }),
  )
}

/** The one line that there is, without its time. */
function logged(): Record<string, unknown> {
  const [{ time: _, ...line } = {}, ...more] = lines
  assert.deepEqual(more, [])
  return line
}

const about = { peer: 'laptop', name: 'notes', version: 2 }

test('a handler that throws is logged with its message and its stack', async () => {
  serve(() => {
    throw new TypeError('out of paper')
  })
  await ask(fitting)
  const { error, ...line } = logged()
  assert.deepEqual(line, { level: 'warn', event: 'request.failed', ...about, code: 'remote-failure' })
  assert.match(String(error), /^TypeError: out of paper at .*failure-log\.test\.ts/)
})

test('so is one of a stream or an event', async () => {
  protocols.register(defineStream({ name: 'files', version: 1, request, handler: failing }))
  protocols.register(defineEvent({ name: 'moved', version: 1, event: request, handler: failing }))
  await assert.rejects(
    protocols.stream(call('files', 1, fitting), { peerId: asPeer('laptop'), signal, accept: anyStream }),
  )
  await protocols.event(call('moved', 1, fitting), { peerId: asPeer('laptop'), signal })
  assert.deepEqual(
    lines.map(({ level, event, name, code }) => [level, event, name, code]),
    [
      ['warn', 'stream.failed', 'files', 'remote-failure'],
      ['warn', 'event.not-handled', 'moved', 'remote-failure'],
    ],
  )
  assert.ok(lines.every(({ error }) => String(error).startsWith('Error: out of paper at ')))
})

test('what another device sends is not in the log, whatever is wrong with it', async () => {
  serve(() => assert.fail('it was handled'))
  protocols.register(defineEvent({ name: 'moved', version: 1, event: request, handler: () => {} }))
  await ask('a secret')
  await ask({ text: ['a secret'] })
  await protocols.event(call('moved', 1, 'a secret'), { peerId: asPeer('laptop'), signal })
  assert.ok(!JSON.stringify(lines).includes('secret'))
  assert.deepEqual(
    lines.map(({ level, code, what, path }) => [level, code, what, path]),
    [
      ['debug', 'invalid-message', 'request', ''],
      ['debug', 'invalid-message', 'request', 'text'],
      ['debug', 'invalid-message', 'event', ''],
    ],
  )
})

test('a schema that throws is a defect, and fails the request with what it threw as the cause', async () => {
  const parsing = v.pipe(
    v.string(),
    v.transform((text) => JSON.parse(text) as { text: string }),
  )
  protocols.register(
    defineProtocol({ name: 'notes', version: 2, request: parsing, response, handler: failing }),
  )
  await assert.rejects(
    protocols.request(call('notes', 2, 'a secret'), { peerId: asPeer('laptop'), signal }),
    (error) => {
      assert.ok(error instanceof SpacedockError)
      assert.equal(error.code, 'invalid-message')
      assert.equal(error.message, 'The request could not be checked: the schema of notes/2 failed.')
      return error.cause instanceof SyntaxError
    },
  )
  const line = { level: 'warn', event: 'request.failed', ...about, code: 'invalid-message' }
  assert.deepEqual(logged(), { ...line, what: 'request', path: '', thrown: 'SyntaxError' })
})

test('an answer that does not fit is a defect of the handler', async () => {
  serve((() => ({ length: 'a secret' })) as unknown as () => never)
  await ask(fitting)
  const line = { level: 'warn', event: 'request.failed', ...about, code: 'invalid-message' }
  assert.deepEqual(logged(), { ...line, what: 'response', path: 'length' })
})

test('an error that the protocol declares is an answer as any other', async () => {
  const errors = { 'no-such-note': v.object({ text: v.string() }) }
  protocols.register(
    defineProtocol({
      name: 'notes',
      version: 2,
      request,
      response,
      errors,
      handler: ({ text }, { error }) => {
        throw error('no-such-note', { text }, text)
      },
    }),
  )
  await ask(fitting)
  assert.deepEqual(logged(), { level: 'info', event: 'request.failed', ...about, code: 'no-such-note' })
})

test('what was called off in the meantime is nobody’s fault', async () => {
  const calledOff = new AbortController()
  serve(() => {
    calledOff.abort()
    throw new Error('called off')
  })
  await ask(fitting, { signal: calledOff.signal })
  assert.deepEqual(logged(), { level: 'debug', event: 'request.failed', ...about, code: 'cancelled' })
})

test('nor is a stream that the other device reads no more of', async () => {
  serve(() => Promise.reject(new SpacedockError('cancelled', 'The other device reads no more of it.')))
  await ask(fitting)
  assert.equal(logged()['level'], 'debug')
})

test('a device that is not paired, or asks for what is not served, cannot fill the log', async () => {
  await ask(fitting, { peerId: asPeer('stranger') })
  await ask(fitting)
  assert.deepEqual(
    lines.map(({ level, code, peer }) => [level, code, peer]),
    [
      ['debug', 'not-paired', 'stranger'],
      ['debug', 'unknown-protocol', 'laptop'],
    ],
  )
})
