import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { startMetricsEndpoint } from '../../src/daemon/metrics-endpoint.ts'

const body = '# HELP a_total A.\n# TYPE a_total counter\na_total 1\n'

test('GET /metrics gets the text, at each of the names of this machine', async (t) => {
  const port = await endpoint(t)
  for (const host of ['127.0.0.1', ...(hasIpv6() ? ['[::1]'] : [])]) {
    const response = await fetch(`http://${host}:${port}/metrics`)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(response.headers.get('access-control-allow-origin'), null)
    assert.equal(await response.text(), body)
  }
  assert.match(await say(port, 'GET /metrics HTTP/1.1', `LocalHost:${port}`), /^HTTP\/1\.1 200 /u)
})

const refused: [what: string, requestLine: string, host: string, status: number][] = [
  ['another path', 'GET / HTTP/1.1', '127.0.0.1:PORT', 404],
  ['a longer path', 'GET /metrics/../metrics HTTP/1.1', '127.0.0.1:PORT', 404],
  ['a query', 'GET /metrics?name=phone HTTP/1.1', '127.0.0.1:PORT', 404],
  ['a whole URL', 'GET http://127.0.0.1/metrics HTTP/1.1', '127.0.0.1:PORT', 404],
  ['HEAD', 'HEAD /metrics HTTP/1.1', '127.0.0.1:PORT', 405],
  ['POST', 'POST /metrics HTTP/1.1', '127.0.0.1:PORT', 405],
  ['OPTIONS', 'OPTIONS /metrics HTTP/1.1', '127.0.0.1:PORT', 405],
  ['a name of somebody else’s that leads here', 'GET /metrics HTTP/1.1', 'rebound.example:PORT', 403],
  ['a name that only begins like ours', 'GET /metrics HTTP/1.1', '127.0.0.1.example:PORT', 403],
  ['another port', 'GET /metrics HTTP/1.1', '127.0.0.1:1', 403],
  ['no port', 'GET /metrics HTTP/1.1', 'localhost', 403],
  ['no name', 'GET /metrics HTTP/1.0', '', 403],
  ['something that is no HTTP', '{"version":"1","method":"status"}', '', 400],
]
for (const [what, requestLine, host, status] of refused) {
  test(`refused: ${what}`, async (t) => {
    const port = await endpoint(t)
    const answer = await say(port, requestLine, host.replace('PORT', String(port)))
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `, 'u'))
    assert.doesNotMatch(answer, /a_total/u)
    if (status === 405) assert.match(answer, /^allow: GET\r$/imu)
  })
}

test(
  'it listens at 127.0.0.1 and ::1 and nowhere else',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const port = await endpoint(t)
    // An address of the loopback interface too, at which whoever listens everywhere is found.
    const socket = connect(port, '127.0.0.2')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    assert.equal(error.code, 'ECONNREFUSED')
  },
)

test('a port that is taken, on either address, is told, and nothing stays open', async (t) => {
  for (const host of ['127.0.0.1', ...(hasIpv6() ? ['::1'] : [])]) {
    const other = createServer()
    other.listen(0, host)
    await once(other, 'listening')
    t.after(() => other.close())
    const { port } = other.address() as AddressInfo
    await assert.rejects(startMetricsEndpoint({ port, read: () => body, log: () => {} }), {
      code: 'port-taken',
      message: `The metrics port ${port} is in use by another program.`,
    })
    other.close()
    await once(other, 'close')
    const again = await startMetricsEndpoint({ port, read: () => body, log: () => {} })
    await again.close()
  }
})

test('what cannot be read is an answer, and is logged', async (t) => {
  const logged: string[] = []
  const { port, close } = await startMetricsEndpoint({
    port: 0,
    read: () => {
      throw new Error('closed')
    },
    log: (_level, event) => void logged.push(event),
  })
  t.after(close)
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  assert.equal(response.status, 500)
  assert.doesNotMatch(await response.text(), /closed/u)
  assert.deepEqual(logged, ['metrics.failed'])
})

test('it ends also while somebody is connected and says nothing', async () => {
  const { port, close } = await startMetricsEndpoint({ port: 0, read: () => body, log: () => {} })
  const silent = connect(port, '127.0.0.1')
  await once(silent, 'connect')
  await close()
  if (!silent.closed) await once(silent, 'close')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`))
})

async function endpoint(t: TestContext): Promise<number> {
  const { port, close } = await startMetricsEndpoint({ port: 0, read: () => body, log: () => {} })
  t.after(close)
  return port
}

async function say(port: number, requestLine: string, host: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const headers = host === '' ? [] : [`Host: ${host}`]
  socket.write([requestLine, ...headers, 'Connection: close', '', ''].join('\r\n'))
  return text(socket)
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses = []) =>
    addresses.some(({ address }) => address === '::1'),
  )
}
