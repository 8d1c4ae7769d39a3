import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readPacket, serviceName, type Packet } from '../../src/network/discovery/mdns/mdns-packets.ts'
import type { Host } from '../lab/lab.ts'
import type { RunningProcess } from '../lab/process.ts'
import { wire } from '../network/discovery/mdns/simulated-lan.ts'
import { fakePeerId } from '../threats/fake-peer-id.ts'

export interface MdnsFloodOptions {
  /** IPv4 addresses of the flooder, which it sends from by turns. */
  from: readonly string[]
  packetsPerSecond: number
  /**
   * `names`: in the name of every peer that it hears of, sixteen wrong addresses. `peers`: invented peers, four in a packet, at
   * addresses that answer nothing.
   */
  says: 'names' | 'peers'
}

/** Somebody on the LAN who multicasts inventions, until he is stopped. */
export class MdnsFlood {
  readonly #process: RunningProcess

  private constructor(running: RunningProcess) {
    this.#process = running
  }

  /** Resolves when it has begun. */
  static async start(host: Host, { from, packetsPerSecond, says }: MdnsFloodOptions): Promise<MdnsFlood> {
    const file = fileURLToPath(import.meta.url)
    const flood = new MdnsFlood(host.spawn(['node', file, says, String(packetsPerSecond), ...from]))
    await flood.#process.line((line) => line === 'begun')
    return flood
  }

  /** Resolves with the number of packets sent, and of those a second. */
  async stop(): Promise<{ sent: number; perSecond: number }> {
    this.#process.write('stop\n')
    const line = await this.#process.line((each) => each.startsWith('{'))
    return JSON.parse(line) as { sent: number; perSecond: number }
  }
}

const port = 5353
const group = '224.0.0.251'
const tickMs = 10

async function main(says: string, packetsPerSecond: number, from: readonly string[]): Promise<void> {
  const sockets = await Promise.all(from.map(openSocket))
  const [first] = sockets
  if (first === undefined) throw new Error('it needs an address to send from')
  const heard = says === 'names' ? await listen(from) : new Map<string, string>()
  const invented = Array.from({ length: 4_096 }, fakePeerId)
  let sent = 0
  const next = (): Buffer | undefined => {
    if (says === 'peers')
      return inventedPeers(Array.from({ length: 4 }, (_, at) => pick(invented, 4 * sent + at)))
    const names = [...heard]
    return names.length === 0 ? undefined : wrongAddresses(pick(names, sent))
  }
  const startedAt = performance.now()
  const stopped = new AbortController()
  createInterface({ input: process.stdin }).once('line', () => stopped.abort())
  console.log('begun')
  while (!stopped.signal.aborted) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * packetsPerSecond) - sent
    for (let count = 0; count < due; count++) {
      const bytes = next()
      if (bytes !== undefined) pick(sockets, sent).send(bytes, port, group)
      sent++
    }
    await wait(tickMs)
  }
  const perSecond = Math.round(sent / ((performance.now() - startedAt) / 1_000))
  console.log(JSON.stringify({ sent, perSecond }))
  process.exit()
}

/** Socket that multicasts from this address. */
async function openSocket(address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.bind({ address, port })
  await once(socket, 'listening')
  socket.setMulticastInterface(address)
  socket.setMulticastTTL(255)
  return socket
}

/** Peers that announce themselves, with the name under which they do. */
async function listen(own: readonly string[]): Promise<Map<string, string>> {
  const heard = new Map<string, string>()
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.on('message', (bytes, { address }) => {
    if (own.includes(address)) return
    const packet = readPacket(wire.decode(bytes))
    if (packet.kind !== 'response') return
    for (const { name, texts } of packet.peers) {
      const peer = /\/p2p\/(\w+)$/u.exec(texts[0] ?? '')?.[1]
      if (peer !== undefined) heard.set(peer, name)
    }
  })
  socket.bind({ address: '0.0.0.0', port })
  await once(socket, 'listening')
  socket.addMembership(group, own[0])
  return heard
}

function wrongAddresses([peer, name]: [string, string]): Buffer {
  return announcement([{ name, peer, addresses: Array.from({ length: 16 }, wrongAddress) }])
}

function inventedPeers(peers: readonly string[]): Buffer {
  return announcement(
    peers.map((peer) => ({
      peer,
      name: `${peer.slice(-32).toLowerCase()}.${serviceName}`,
      addresses: [wrongAddress()],
    })),
  )
}

function announcement(peers: { name: string; peer: string; addresses: string[] }[]): Buffer {
  const packet: Packet = {
    type: 'response',
    answers: peers.map(({ name }) => ({ name: serviceName, type: 'PTR', ttl: 360, data: name })),
    additionals: peers.map(({ name, peer, addresses }) => ({
      name,
      type: 'TXT',
      ttl: 360,
      data: addresses.map((address) => `dnsaddr=${address}/p2p/${peer}`),
    })),
  }
  return wire.encode(packet)
}

/** Address of the LAN at which nobody is. */
function wrongAddress(): string {
  return `/ip4/10.1.0.${randomInt(150, 250)}/tcp/${randomInt(1_024, 61_024)}`
}

function pick<Item>(items: readonly Item[], at: number): Item {
  const item = items[at % items.length]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [says = '', packetsPerSecond = '', ...from] = process.argv.slice(2)
  await main(says, Number(packetsPerSecond), from)
}
