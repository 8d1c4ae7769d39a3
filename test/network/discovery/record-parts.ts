import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../src/api.ts'
import { systemClock } from '../../../src/clock.ts'
import type { DhtClient } from '../../../src/network/dht/dht-client.ts'
import { RecordAddresses } from '../../../src/network/discovery/record-addresses.ts'
import type { RecordParts } from '../../../src/network/discovery/record-parts.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'

/** A DHT of one node that stores what it is given, in memory: what the discovery code does with it is what is tested. */
export class MemoryDht implements DhtClient {
  nodes = 1
  /** How many take a record; the rest of the DHT's work is left to the DHT's own tests. */
  copies = 3
  readonly published: { routingKey: string; record: Uint8Array }[] = []
  readonly lookups: string[] = []
  /** What the nodes answer, in this order; by default what was published last. */
  answers: ((routingKey: string) => Uint8Array[]) | undefined
  readonly #listeners = new Set<() => void>()

  async publish(record: Uint8Array, routingKey: Uint8Array): Promise<number> {
    this.published.push({ routingKey: hex(routingKey), record })
    return this.copies
  }

  async *lookup(routingKey: Uint8Array, { signal }: { signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    const key = hex(routingKey)
    this.lookups.push(key)
    const last = this.published.findLast((one) => one.routingKey === key)
    for (const record of this.answers?.(key) ?? (last === undefined ? [] : [last.record])) {
      if (signal.aborted) return
      yield record
    }
  }

  onNode(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  nodeCame(): void {
    this.nodes++
    for (const listener of this.#listeners) listener()
  }

  get listeners(): number {
    return this.#listeners.size
  }
}

export interface TestParts extends RecordParts {
  client: MemoryDht
  moveTo(addresses: string[]): void
  readonly addressListeners: number
}

export function recordParts(
  peer: PeerId,
  { client = new MemoryDht(), clock = systemClock }: { client?: MemoryDht; clock?: Clock } = {},
): TestParts {
  let addresses = ['/ip4/192.0.2.1/tcp/4001']
  const listeners = new Set<() => void>()
  return {
    client,
    suite: suite1,
    clock,
    random: (length) => randomBytes(length),
    peer,
    addresses: () => addresses,
    onAddressChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    usesOnlyLoopback: () => false,
    dialable: new RecordAddresses({
      ownRelays: [],
      privateRelays: () => false,
      usesOnlyLoopback: () => false,
      lookUp: async () => [],
    }),
    log: () => {},
    moveTo(next) {
      addresses = next
      for (const listener of listeners) listener()
    },
    get addressListeners() {
      return listeners.size
    },
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
