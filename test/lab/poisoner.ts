import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { unmarshalIPNSRecord } from 'ipns'
import { suite1 } from '../../src/pairing/suite.ts'
import { encodeAddressRecord, recordRoutingKey } from '../../src/pairing/address-record.ts'
import { fakePeerId } from '../threats/fake-peer-id.ts'
import { HostileDht, type HostileAnswer } from '../threats/hostile-dht.ts'
import type { Host } from './lab.ts'
import type { RunningProcess } from './process.ts'

/** What its answers hold. `old`: the record that somebody wrote there before a newer one. */
export const poisons = ['junk', 'wrong key', '10 KiB', 'old'] as const
export type Poison = (typeof poisons)[number]

export interface PoisonCount {
  /** Answers with its kind of record. */
  served: number
  /** Peers that do not exist, named as those to ask. */
  named: number
  /** Records that it asked the honest server to store, and those that were taken. */
  put: number
  taken: number
}

/** A DHT server of somebody who wants nobody to find anybody, on a host of a lab. */
export class Poisoner {
  readonly #process: RunningProcess
  /** What devices are given. */
  readonly address: string

  private constructor(running: RunningProcess, address: string) {
    this.#process = running
    this.address = address
  }

  /** The peers that it invents are at `victim`. */
  static async start(
    host: Host,
    options: { poison: Poison; listen: string; victim: string },
  ): Promise<Poisoner> {
    const file = fileURLToPath(import.meta.url)
    const running = host.spawn(['node', file, options.poison, options.listen, options.victim])
    const line = await running.line((each) => each.startsWith('listening '))
    return new Poisoner(running, line.split(' ')[1] ?? '')
  }

  /** Has it ask this server to store a thousand records, and replace each that it has heard of by an older one or by junk. */
  async flood(server: string): Promise<void> {
    this.#process.write(`flood ${server}\n`)
    await this.#process.line((line) => line === 'flooded', { deadlineMs: 300_000 })
  }

  /** Resolves when it has heard of two records under one key, so that it has an old one. */
  async hasOldRecord(): Promise<void> {
    await this.#process.line((line) => line === 'has an old record', { deadlineMs: 300_000 })
  }

  async count(): Promise<PoisonCount> {
    const before = this.#process.lines().length
    this.#process.write('count\n')
    const line = await this.#process.until(() =>
      this.#process
        .lines()
        .slice(before)
        .find((each) => each.startsWith('{')),
    )
    return JSON.parse(line) as PoisonCount
  }
}

const records = 1_000
const namesPerAnswer = 250
const addressesOfOne = 1_000

async function serve(poison: Poison, listen: string, victim: string): Promise<void> {
  const count: PoisonCount = {
    served: 0,
    named: 0,
    put: 0,
    taken: 0,
  }
  const ownKeys = { signingSeed: randomBytes(32), recordKey: randomBytes(32) }
  const own = await signed(ownKeys, 1_000_000n)
  const junk = Array.from({ length: records }, (_, at) => randomBytes(1 + (at % 2_000)))
  let invented = 0

  const server = await HostileDht.start({ listen: [listen], answer })

  function answer(routingKey: Uint8Array): HostileAnswer {
    const value = poisonedValue(routingKey)
    if (value !== null) count.served += 1
    return { value, closer: inventedPeers() }
  }

  function poisonedValue(routingKey: Uint8Array): Uint8Array | null {
    switch (poison) {
      case 'junk':
        return junk[count.served % junk.length] ?? null
      case 'wrong key':
        return own
      case '10 KiB':
        return new Uint8Array(10 * 1_024).fill(count.served)
      case 'old':
        return oldRecord(server, routingKey)
    }
  }

  /** Each at another port, as long as there are any. */
  function inventedAddress(): string {
    invented += 1
    return `/ip4/${victim}/tcp/${1_000 + (invented % 60_000)}`
  }

  function inventedPeers() {
    count.named += namesPerAnswer
    return Array.from({ length: namesPerAnswer }, (_, at) => ({
      peer: fakePeerId(),
      addresses: Array.from({ length: at === 0 ? addressesOfOne : 1 }, inventedAddress),
    }))
  }

  async function flood(target: string): Promise<void> {
    const put = async (routingKey: Uint8Array, value: Uint8Array): Promise<void> => {
      count.put += 1
      // A server that does not answer has taken nothing.
      if (await server.put(target, routingKey, value).catch(() => false)) count.taken += 1
    }
    for (const routingKey of keysHeardOf(server)) {
      const old = oldRecord(server, routingKey)
      for (const value of [old, own, new Uint8Array(10 * 1_024), junk[0]]) {
        if (value !== null && value !== undefined) await put(routingKey, value)
      }
    }
    for (let at = 0; at < records; at += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const keys = { signingSeed: randomBytes(32), recordKey: randomBytes(32) }
          await put(await recordRoutingKey(keys), await signed(keys, 1n))
        }),
      )
    }
    console.log('flooded')
  }

  console.log(`listening ${server.address}`)
  const lookOut = setInterval(() => {
    if (!keysHeardOf(server).some((key) => oldRecord(server, key) !== null)) return
    console.log('has an old record')
    clearInterval(lookOut)
  }, 50)
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, argument = ''] = line.split(' ')
    if (command === 'flood') void flood(argument)
    else console.log(JSON.stringify(count))
  })
}

/** What stood under this key before the newest that was written here. */
function oldRecord(server: HostileDht, routingKey: Uint8Array): Uint8Array | null {
  const written = server.overheard.flatMap(({ routingKey: key, value }) =>
    value !== null && Buffer.compare(key, routingKey) === 0 ? [value] : [],
  )
  const sequences = written.map((value) => unmarshalIPNSRecord(value).sequence)
  const [first] = sequences
  const isOld = first !== undefined && sequences.some((sequence) => sequence > first)
  return isOld ? (written[0] ?? null) : null
}

function keysHeardOf(server: HostileDht): Uint8Array[] {
  const keys = new Map<string, Uint8Array>()
  for (const { routingKey } of server.overheard) keys.set(Buffer.from(routingKey).toString('hex'), routingKey)
  return [...keys.values()]
}

async function signed(
  keys: Parameters<typeof encodeAddressRecord>[1],
  sequence: bigint,
): Promise<Uint8Array> {
  const content = { peer: fakePeerId(), addresses: ['/ip4/45.67.89.66/tcp/666'] }
  const validUntil = new Date(Date.now() + 48 * 3_600_000).toISOString()
  return encodeAddressRecord(suite1, keys, content, { sequence, validUntil, nonce: randomBytes(32) })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [given = '', listen = '', victim = ''] = process.argv.slice(2)
  await serve(poisons.find((poison) => poison === given) ?? 'junk', listen, victim)
}
