import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Message } from '../../src/api.ts'
import { requestLineCapBytes } from '../../src/daemon/daemon-api.ts'
import { callDaemon, isDaemonRunning } from '../../src/daemon/client.ts'
import { createLog } from '../../src/daemon/log.ts'
import type { DaemonFacts } from '../../src/daemon/methods.ts'
import { type DaemonServer, type DaemonServerOptions, startServer } from '../../src/daemon/server.ts'
import { version } from '../../src/version.ts'
import { createFakeNode, fakeDigits, type FakeNode, fakeWords } from './fake-node.ts'

const shortly = { timeout: 120_000 }

test('status tells who this is', shortly, async (t) => {
  const { dataDir } = await serve(t)
  const status = await callDaemon(dataDir, 'status', {})
  assert.equal(status.version, version)
  assert.equal(status.pid, process.pid)
  assert.equal(status.name, 'laptop')
})

test('a daemon whose socket was removed, as at logout, can be reached again', shortly, async (t) => {
  const { dataDir, server, node } = await serve(t, { name: 'lonely' })
  const leave = new AbortController()
  const waiting = callDaemon(dataDir, 'pair', { ask: false }, { signal: leave.signal })
  await node.until('pair')
  for (let time = 0; time < 2; time++) {
    rmSync(server.address)
    assert.equal(await isDaemonRunning(dataDir), false)
    while (!(await isDaemonRunning(dataDir))) await pause(20)
  }
  assert.equal((await callDaemon(dataDir, 'status', {})).name, 'lonely')
  leave.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/u, 'a call that ran went on')
})

test('a daemon whose data directory was removed says so', shortly, async (t) => {
  const lost = Promise.withResolvers<void>()
  const { dataDir } = await serve(t, { onDirectoryLost: lost.resolve })
  rmSync(dataDir, { recursive: true })
  await lost.promise
})

test('one call that waits does not hold up another', shortly, async (t) => {
  const { dataDir, node } = await serve(t, { name: 'lonely' })
  const leave = new AbortController()
  const waiting = callDaemon(dataDir, 'pair', { ask: false }, { signal: leave.signal })
  await node.until('pair')
  const sent = await callDaemon(dataDir, 'send', { device: 'phone', content: { text: 'hello' } })
  assert.deepEqual(sent, { id: 'message-1', status: 'delivered' })
  leave.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/u)
})

for (const method of ['pair', 'join'] as const) {
  test(`a client that closes its connection ends its ${method}`, shortly, async (t) => {
    const { dataDir, node } = await serve(t, { name: 'lonely' })
    const leave = new AbortController()
    const call =
      method === 'pair'
        ? callDaemon(dataDir, 'pair', { ask: true }, { signal: leave.signal })
        : callDaemon(dataDir, 'join', { code: fakeWords, peers: [], ask: true }, { signal: leave.signal })
    await node.until(method === 'pair' ? 'pair' : `join ${fakeWords}`)
    leave.abort(new Error('enough'))
    await assert.rejects(call, /enough/u)
    await node.until('pairing ended')
  })
}

test('the question reaches the person, and the answer the node', shortly, async (t) => {
  const { dataDir, node } = await serve(t)
  const events: string[] = []
  const questions: object[] = []
  const call = callDaemon(
    dataDir,
    'pair',
    { ask: true },
    {
      onEvent: (event) => void events.push(event.kind),
      onAsk: async (question) => {
        questions.push(question)
        return true
      },
    },
  )
  assert.equal((await call).device.name, 'phone')
  assert.deepEqual(questions, [{ name: 'phone', deviceId: 'phone00000000000', digits: fakeDigits }])
  assert.deepEqual(events.toSorted(), ['code', 'contact', 'digits', 'source'])
  assert.ok(node.happened.includes('paired'))
})

test('no is no, and so is a client without a way to ask', shortly, async (t) => {
  const { dataDir } = await serve(t)
  await assert.rejects(callDaemon(dataDir, 'pair', { ask: true }, { onAsk: async () => false }), {
    code: 'declined',
  })
  await assert.rejects(callDaemon(dataDir, 'pair', { ask: true }), { code: 'declined' })
})

test('a question is withdrawn when its answer is no longer needed', shortly, async (t) => {
  const { dataDir, server } = await serve(t)
  const withdrawn = Promise.withResolvers<void>()
  const call = callDaemon(
    dataDir,
    'pair',
    { ask: true },
    {
      onAsk: (_question, { signal }) => {
        signal.addEventListener('abort', () => withdrawn.resolve())
        void server.close()
        return new Promise(() => undefined)
      },
    },
  )
  await assert.rejects(call, { code: 'closed' })
  await withdrawn.promise
})

test('messages are followed as they arrive, until the client leaves', shortly, async (t) => {
  const { dataDir, node } = await serve(t)
  const leave = new AbortController()
  const received: Message[] = []
  node.receive('one')
  const call = callDaemon(
    dataDir,
    'inbox',
    { follow: true },
    {
      signal: leave.signal,
      onEvent: (message) => {
        received.push(message)
        if (received.length === 1) node.receive('two')
        else leave.abort(new Error('enough'))
      },
    },
  )
  await assert.rejects(call, /enough/u)
  assert.deepEqual(
    received.map((message) => message.text),
    ['one', 'two'],
  )
  await node.until('messages ended')
})

test('a message is given its time to live, and the inbox is cleared', shortly, async (t) => {
  const { dataDir, node } = await serve(t)
  const content = { text: 'hello' }
  await callDaemon(dataDir, 'send', { device: 'phone', content, expiresInMs: 5_000 })
  await callDaemon(dataDir, 'send', { device: 'phone', content, expiresInMs: null })
  await callDaemon(dataDir, 'send', { device: 'phone', content })
  const sent = node.happened.filter((line) => line.startsWith('send'))
  const line = `send ${JSON.stringify(content)}`
  assert.deepEqual(sent, [`${line} within 5000 ms`, `${line} within Infinity ms`, line])
  node.receive('one')
  assert.deepEqual(await callDaemon(dataDir, 'clearInbox', {}), { removed: 1 })
  assert.deepEqual(node.inbox(), [])
})

test('an error of the node arrives with its code and hint', shortly, async (t) => {
  const { dataDir } = await serve(t)
  await assert.rejects(callDaemon(dataDir, 'ping', { device: 'nobody' }), {
    name: 'SpacedockError',
    code: 'no-device',
    hint: 'See "spacedock devices".',
  })
})

test('a defect is logged, and its details stay in the log', shortly, async (t) => {
  const { dataDir, node, logged } = await serve(t)
  node.devices = () => {
    throw new TypeError('internals')
  }
  await assert.rejects(
    callDaemon(dataDir, 'devices', {}),
    (error: Error) => !error.message.includes('internals'),
  )
  assert.match(logged.join(''), /daemon\.call-failed.*internals/u)
})

test(
  'threat 39: a page that posts to the socket is closed without a word, whatever its body says',
  shortly,
  async (t) => {
    const { server, node } = await serve(t)
    const body = JSON.stringify({ version, method: 'revoke', params: { device: 'phone' } })
    const post = `POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.org\r\n\r\n${body}\n`
    assert.equal(await talk(server, post), '')
    assert.equal(await talk(server, `GET / HTTP/1.1\r\n${body}\n`), '')
    assert.deepEqual(node.happened, [])
  },
)

const malformed: { what: string; bytes: string | Uint8Array; code: string }[] = [
  { what: 'no JSON', bytes: '{"version":\n', code: 'invalid-message' },
  { what: 'no request', bytes: '{"hello":"there"}\n', code: 'invalid-message' },
  { what: 'no UTF-8', bytes: Uint8Array.of(0x7b, 0xff, 0x0a), code: 'invalid-message' },
  { what: 'over the cap', bytes: `{"x":"${'x'.repeat(requestLineCapBytes)}"}\n`, code: 'too-large' },
  { what: 'an unknown method', bytes: request('format-disk', {}), code: 'invalid-argument' },
  { what: 'a method of Object', bytes: request('constructor', {}), code: 'invalid-argument' },
  { what: 'a wrong parameter', bytes: request('ping', { device: 7 }), code: 'invalid-argument' },
  { what: 'a parameter too many', bytes: request('devices', { all: true }), code: 'invalid-argument' },
  { what: 'a parameter missing', bytes: request('revoke', {}), code: 'invalid-argument' },
]
for (const { what, bytes, code } of malformed) {
  test(`a request with ${what} is refused and the connection closed`, shortly, async (t) => {
    const { server, node } = await serve(t)
    const answer = JSON.parse(await talk(server, bytes)) as { error: { code: string } }
    assert.equal(answer.error.code, code)
    assert.deepEqual(node.happened, [])
  })
}

test('an answer that makes no sense ends the call', shortly, async (t) => {
  const { server, node } = await serve(t, { name: 'lonely' })
  const answer = await talk(server, `${request('pair', { ask: true })}{"answer":{"id":1,"value":"yes"}}\n`)
  assert.match(answer, /"code":"invalid-message"/u)
  await node.until('pairing ended')
})

test('a client that says nothing is closed', shortly, async (t) => {
  const { server } = await serve(t, { requestDeadlineMs: 30 })
  const silent = connect(server.address)
  assert.equal(await text(silent), '')
  const slow = connect(server.address)
  slow.write('{"version"')
  assert.equal(await text(slow), '')
})

test(
  'another version is told so, but may always ask for the status and stop the daemon',
  shortly,
  async (t) => {
    const { server, stopped } = await serve(t)
    const refused = await talk(server, request('devices', {}, '9.9.9'))
    assert.match(refused, /"code":"daemon-version".*9\.9\.9/u)
    assert.match(await talk(server, request('status', { verbose: true }, '9.9.9')), /"result":\{.*"pid"/u)

    const down = connect(server.address)
    const ended = text(down)
    down.write(request('down', { now: true }, '9.9.9'))
    await stopped
    await server.close()
    assert.equal(await Promise.race([ended, aMoment()]), 'open', 'stays open until the process ends')
    server.release()
    assert.match(await ended, /"result":\{"pid":\d+,/u)
  },
)

test('closing ends the calls, removes the socket and takes no further calls', shortly, async (t) => {
  const { dataDir, node, server } = await serve(t, { name: 'lonely' })
  const waiting = callDaemon(dataDir, 'pair', { ask: false })
  await Promise.all([
    node.until('pair'),
    assert.rejects(waiting, { code: 'closed' }),
    node.until('pair').then(() => server.close()),
  ])
  assert.equal(existsSync(server.address), false)
  assert.equal(await isDaemonRunning(dataDir), false)
  await assert.rejects(callDaemon(dataDir, 'status', {}), { code: 'no-daemon' })
})

test('threat 39: only the user may talk to the socket', { skip: process.platform === 'win32' }, async (t) => {
  const { dataDir, server } = await serve(t)
  assert.equal(server.address, join(dataDir, 'daemon.sock'))
  assert.equal(statSync(server.address).mode & 0o777, 0o600)
  assert.equal(statSync(dataDir).mode & 0o777, 0o700)
})

test(
  'the socket of a daemon that was killed is replaced',
  { skip: process.platform === 'win32' },
  async (t) => {
    const dataDir = temporaryDirectory(t)
    const path = join(dataDir, 'daemon.sock')
    await leaveStaleSocket(path)
    assert.equal(await isDaemonRunning(dataDir), false)
    await serve(t, { dataDir })
    assert.equal(await isDaemonRunning(dataDir), true)
  },
)

test(
  'whatever else lies where the socket belongs is left alone',
  { skip: process.platform === 'win32' },
  async (t) => {
    const dataDir = temporaryDirectory(t)
    writeFileSync(join(dataDir, 'daemon.sock'), 'precious')
    await assert.rejects(serve(t, { dataDir }), { code: 'directory-unusable' })
    assert.equal(statSync(join(dataDir, 'daemon.sock')).size, 'precious'.length)
  },
)

test(
  'a directory whose path is too long for a socket works all the same',
  { skip: process.platform === 'win32' },
  async (t) => {
    const dataDir = join(temporaryDirectory(t), 'd'.repeat(120))
    mkdirSync(dataDir, { mode: 0o700 })
    process.env['XDG_RUNTIME_DIR'] = temporaryDirectory(t)
    const { server } = await serve(t, { dataDir })
    assert.ok(Buffer.byteLength(server.address) < 100)
    assert.equal(statSync(server.address).mode & 0o777, 0o600)
    assert.equal((await callDaemon(dataDir, 'status', {})).name, 'laptop')
  },
)

const about = (): DaemonFacts => ({ log: null, metricsUrl: null, defects: 0 })

interface Served {
  dataDir: string
  node: FakeNode
  server: DaemonServer
  logged: string[]
  /** Resolves when a client has asked for the stop. */
  stopped: Promise<void>
}

async function serve(
  t: TestContext,
  {
    name = 'laptop',
    dataDir = temporaryDirectory(t),
    ...options
  }: Partial<DaemonServerOptions> & { name?: string } = {},
): Promise<Served> {
  const node = await createFakeNode({ dataDir, name })
  const logged: string[] = []
  const stop = Promise.withResolvers<void>()
  const log = createLog((line) => logged.push(line))
  t.after(() => node.close())
  const server = await startServer({
    node,
    about,
    dataDir,
    log,
    onStop: () => stop.resolve(),
    onDirectoryLost: () => undefined,
    ...options,
  })
  t.after(async () => {
    await server.close()
    server.release()
  })
  return { dataDir, node, server, logged, stopped: stop.promise }
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function request(method: string, params: object, fromVersion = version): string {
  return `${JSON.stringify({ version: fromVersion, method, params })}\n`
}

/** Says something and hears what comes until the daemon closes the connection. */
async function talk(server: DaemonServer, bytes: string | Uint8Array): Promise<string> {
  const socket: Socket = connect(server.address)
  socket.on('error', () => undefined) // the daemon closes while a large line is still being written
  socket.write(bytes)
  return text(socket)
}

/** Time enough for a connection on this machine to close. */
async function aMoment(): Promise<string> {
  return new Promise((resume) => void setTimeout(resume, 50, 'open'))
}

/** As after a kill -9: the file is there, and nobody listens. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { renameSync } = await import('node:fs')
  const server = createServer()
  server.listen(`${path}.old`)
  await once(server, 'listening')
  renameSync(`${path}.old`, path)
  server.close()
  await once(server, 'close')
}
