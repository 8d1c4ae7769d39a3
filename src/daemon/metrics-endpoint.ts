import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log } from '../api.ts'
import { SpacedockError } from '../errors.ts'

export interface MetricsEndpointOptions {
  /** Port to listen on; 0: any that is free. */
  port: number
  /** Returns the text to answer with. */
  read: () => string
  log: Log
}

export interface MetricsEndpoint {
  readonly port: number
  readonly close: () => Promise<void>
}

const mostConnections = 16
const requestDeadlineMs = 5000

/**
 * Serves `GET /metrics` for a Prometheus on this machine, over the loopback interface alone; everything else is refused. A web
 * page that had its own name lead to this machine would be given away by the Host header.
 *
 * Rejects `port-taken`, or `invalid-argument` for a port that is only for administrators.
 */
export async function startMetricsEndpoint(options: MetricsEndpointOptions): Promise<MetricsEndpoint> {
  const servers: Server[] = []
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => stop(server)))
  }
  let port = options.port
  try {
    for (const address of ['127.0.0.1', '::1']) {
      const server = createEndpoint(options)
      if (!(await listen(server, port, address))) continue
      server.on('error', (error) => options.log('error', 'metrics.server-failed', { error }))
      servers.push(server)
      port = (server.address() as AddressInfo).port
    }
  } catch (error) {
    await close()
    throw error
  }
  if (servers.length > 0) return { port, close }
  throw new SpacedockError('no-network', 'The metrics need the loopback interface, and it is not up.', {
    hint: 'Bring it up ("ip link set lo up"), or leave out --metrics-port.',
  })
}

function createEndpoint({ read, log }: MetricsEndpointOptions): Server {
  const limits = {
    headersTimeout: requestDeadlineMs,
    requestTimeout: requestDeadlineMs,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: 8 * 1024,
  }
  const server = createServer(limits, (request, response) => {
    request.resume()
    const refusal = refuse(request)
    if (refusal !== null) return answer(response, refusal.status, `${refusal.why}\n`, refusal.headers)
    try {
      answer(response, 200, read(), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    } catch (error) {
      log('error', 'metrics.failed', { error })
      answer(response, 500, 'the metrics cannot be read\n')
    }
  })
  server.maxConnections = mostConnections
  return server
}

interface Refusal {
  status: number
  why: string
  headers?: Record<string, string>
}

function refuse({ headers, method, url, socket }: IncomingMessage): Refusal | null {
  if (!isOwnName(headers.host, socket.localPort))
    return { status: 403, why: 'this is not a name of this machine' }
  if (url !== '/metrics') return { status: 404, why: 'there is only /metrics' }
  if (method !== 'GET') return { status: 405, why: 'there is only GET', headers: { allow: 'GET' } }
  return null
}

/** Whether the Host header names this machine. DNS rebinding shows there: a foreign name that leads here is in it as it is. */
function isOwnName(host: string | undefined, port: number | undefined): boolean {
  const names = ['127.0.0.1', 'localhost', '[::1]']
  const allowed = names.flatMap((name) => [`${name}:${port}`, ...(port === 80 ? [name] : [])])
  return host !== undefined && allowed.includes(host.toLowerCase())
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
    ...headers,
  })
  response.end(body)
}

/** Listens on an address; resolves with false when this machine has none such. */
async function listen(server: Server, port: number, address: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const failed = (cause: NodeJS.ErrnoException): void => {
    if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'EAFNOSUPPORT') resolve(false)
    else reject(cannotListen(port, cause))
  }
  server.once('error', failed)
  server.listen({ port, host: address, exclusive: true, ipv6Only: address === '::1' }, () => {
    server.off('error', failed)
    resolve(true)
  })
  return promise
}

function cannotListen(port: number, cause: NodeJS.ErrnoException): Error {
  if (cause.code === 'EADDRINUSE') {
    return new SpacedockError('port-taken', `The metrics port ${port} is in use by another program.`, {
      hint: 'Give another one with --metrics-port, or 0 for no metrics.',
      cause,
    })
  }
  if (cause.code !== 'EACCES') return cause
  return new SpacedockError(
    'invalid-argument',
    `The metrics port ${port} is only for administrators of this machine.`,
    { hint: 'Give another one with --metrics-port, from 1024 on.', cause },
  )
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}
