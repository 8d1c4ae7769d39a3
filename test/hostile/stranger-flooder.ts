import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import type { Host } from '../lab/lab.ts'
import type { RunningProcess } from '../lab/process.ts'
import { encode, field } from '../threats/protobuf.ts'
import { RawPeer } from '../threats/raw-peer.ts'

/**
 * `connections`: of one identity, as many as it gets, kept. `identities`: new ones, each of which answers identify with ten messages
 * of 8 KiB. `protocols`: unknown ones, forty on each connection.
 */
export type StrangerFlood = 'connections' | 'identities' | 'protocols'

/** A stranger who connects to a host again and again, until he is stopped. */
export class StrangerFlooder {
  readonly #process: RunningProcess

  private constructor(running: RunningProcess) {
    this.#process = running
  }

  /** Resolves when a few connections have been made. */
  static async start(host: Host, target: string, what: StrangerFlood): Promise<StrangerFlooder> {
    const flooder = new StrangerFlooder(host.spawn(['node', fileURLToPath(import.meta.url), what, target]))
    await flooder.#process.line((line) => line === 'begun', { deadlineMs: 60_000 })
    return flooder
  }

  async stop(): Promise<{ begun: number; perSecond: number }> {
    this.#process.write('stop\n')
    return JSON.parse(await this.#process.line((line) => line.startsWith('{'))) as {
      begun: number
      perSecond: number
    }
  }
}

const few = 20
const dialMs = 5_000

async function main(what: StrangerFlood, target: string): Promise<void> {
  const stopped = new AbortController()
  createInterface({ input: process.stdin }).once('line', () => stopped.abort())
  const startedAt = performance.now()
  const peer = await RawPeer.start()
  let begun = 0
  while (!stopped.signal.aborted) {
    if (what === 'connections') await connect(peer, target)
    else if (what === 'identities') await answerAtLength(target)
    else await proposeUnknown(peer, target)
    if (++begun === few) console.log('begun')
    await wait(what === 'identities' ? 25 : 1)
  }
  const perSecond = Math.round(begun / ((performance.now() - startedAt) / 1_000))
  console.log(JSON.stringify({ begun, perSecond }))
  process.exit()
}

async function connect(peer: RawPeer, target: string): Promise<void> {
  const options = { force: true, signal: AbortSignal.timeout(dialMs) }
  await peer.libp2p.dial(multiaddr(target), options).catch(() => {})
}

async function answerAtLength(target: string): Promise<void> {
  const peer = await RawPeer.start()
  const { publicKey } = peer.libp2p.peerId
  if (publicKey === undefined) throw new Error('it has a key that is not in its name')
  const key = encode([field(1, 1), field(2, publicKey.raw)])
  await peer.libp2p.handle('/ipfs/id/1.0.0', async (stream) => {
    for (let message = 0; message < 10; message++) {
      const addresses = Array.from({ length: 800 }, (_, at) =>
        field(2, Uint8Array.of(4, 10, message, at >> 8, at & 255, 6, 16, 1)),
      )
      const body = encode([field(1, key), ...addresses])
      stream.send(encode([Uint8Array.of((body.length & 127) | 128, body.length >> 7), body]))
    }
    await stream.close().catch(() => {})
  })
  await connect(peer, target)
  setTimeout(() => void peer.stop(), 2_000).unref()
}

async function proposeUnknown(peer: RawPeer, target: string): Promise<void> {
  const connection = await peer.libp2p
    .dial(multiaddr(target), { force: true, signal: AbortSignal.timeout(dialMs) })
    .catch(() => null)
  if (connection === null) return
  for (let name = 0; name < 40; name++) {
    const isOpen = await connection.newStream(`/${randomBytes(16).toString('hex')}/1.0.0`).then(
      () => true,
      () => connection.status === 'open',
    )
    if (!isOpen) return
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what = 'connections', target = ''] = process.argv.slice(2)
  await main(what as StrangerFlood, target)
}
