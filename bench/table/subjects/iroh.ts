import { createRequire } from 'node:module'
import { join } from 'node:path'
import { overPipes } from './over-pipes.ts'
import { host, type Pipe } from './subject.ts'

/** The part of `@number0/iroh` that is used. Bytes cross its binding as arrays of numbers, which is most of what they cost there. */
interface Iroh {
  Endpoint: { builder(): Builder }
  EndpointAddr: new (id: unknown, relay: null, addresses: string[]) => object
  EndpointId: { fromString(text: string): unknown }
  RelayMode: { disabled(): unknown }
}

interface Builder {
  applyMinimal(): void
  relayMode(mode: unknown): void
  bindAddr(address: string): void
  alpns(names: number[][]): void
  bind(): Promise<Endpoint>
}

interface Endpoint {
  id(): { toString(): string }
  boundSockets(): string[]
  acceptNext(): Promise<{ accept(): Promise<{ connect(): Promise<Connection> }> } | null>
  connect(address: object, name: number[]): Promise<Connection>
}

interface Connection {
  openBi(): Promise<BiStream>
  acceptBi(): Promise<BiStream>
}

interface BiStream {
  send: { writeAll(bytes: number[]): Promise<void> }
  recv: { read(limit: number): Promise<number[] | null> }
}

const name = [...Buffer.from('bench/1')]
/** What is not referred to any more is closed. */
const kept: unknown[] = []
const readBytes = 65_536
/** Bytes that are not written yet above which the pipe wants no more. */
const mostWaitingBytes = 1_048_576

/** iroh's QUIC over the loopback interface, without its relays, from where `--neighbours` has put it. */
export default overPipes({
  listen: async (onPipe) => {
    const endpoint = await bind()
    void acceptAll(endpoint, onPipe)
    return JSON.stringify({ id: endpoint.id().toString(), sockets: endpoint.boundSockets() })
  },
  connect: async (address) => {
    const { id, sockets } = JSON.parse(address) as { id: string; sockets: string[] }
    const { EndpointAddr, EndpointId } = iroh()
    const endpoint = await bind()
    const connection = await endpoint.connect(
      new EndpointAddr(EndpointId.fromString(id), null, sockets),
      name,
    )
    kept.push(connection)
    return async () => streamPipe(await connection.openBi())
  },
})

function iroh(): Iroh {
  const folder = process.env['BENCH_NEIGHBOURS'] ?? ''
  return createRequire(join(folder, 'package.json'))('@number0/iroh') as Iroh
}

async function bind(): Promise<Endpoint> {
  const { Endpoint, RelayMode } = iroh()
  const builder = Endpoint.builder()
  builder.applyMinimal()
  builder.relayMode(RelayMode.disabled())
  builder.bindAddr(`${host}:0`)
  builder.alpns([name])
  const endpoint = await builder.bind()
  kept.push(endpoint)
  return endpoint
}

async function acceptAll(endpoint: Endpoint, onPipe: (pipe: Pipe) => void): Promise<void> {
  for (let next = await endpoint.acceptNext(); next !== null; next = await endpoint.acceptNext()) {
    const connection = await (await next.accept()).connect()
    kept.push(connection)
    const streams = async (): Promise<void> => {
      for (;;) onPipe(streamPipe(await connection.acceptBi()))
    }
    // Until the other end goes.
    streams().catch(() => {})
  }
}

function streamPipe(stream: BiStream): Pipe {
  const { send, recv } = stream
  kept.push(stream)
  let waitingBytes = 0
  let last = Promise.resolve()
  return {
    write: (bytes) => {
      waitingBytes += bytes.length
      last = last.then(() => send.writeAll(Array.from(bytes))).then(() => void (waitingBytes -= bytes.length))
      last.catch(() => {})
      return waitingBytes < mostWaitingBytes
    },
    drained: () => last,
    read: (onBytes) => {
      const reading = async (): Promise<void> => {
        for (;;) {
          const bytes = await recv.read(readBytes)
          if (bytes === null || bytes.length === 0) return
          onBytes(Uint8Array.from(bytes))
        }
      }
      reading().catch(() => {})
    },
  }
}
