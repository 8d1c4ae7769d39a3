import { Semaphore } from '../../semaphore.ts'
import type { DhtClient } from './dht-client.ts'

/** Client that makes so many queries at once; the others wait for their turn. */
export class LimitedClient implements DhtClient {
  readonly #client: DhtClient
  readonly #queries: Semaphore

  constructor(client: DhtClient, maxQueries: number) {
    this.#client = client
    this.#queries = new Semaphore(maxQueries)
  }

  async publish(
    record: Uint8Array,
    routingKey: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<number> {
    using turn = await this.#turn(options.signal)
    return turn === null ? 0 : await this.#client.publish(record, routingKey, options)
  }

  async *lookup(routingKey: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<Uint8Array> {
    using turn = await this.#turn(options.signal)
    if (turn !== null) yield* this.#client.lookup(routingKey, options)
  }

  get nodes(): number {
    return this.#client.nodes
  }

  onNode(listener: () => void): () => void {
    return this.#client.onNode(listener)
  }

  /** Resolves with null when the signal aborts first. */
  #turn(signal: AbortSignal): Promise<Disposable | null> {
    return this.#queries.acquire({ signal }).catch(() => null)
  }
}
