import { addAbortListener } from 'node:events'
import type { DhtClient } from './dht-client.ts'

/** Limits a client to so many queries at once; the others wait for their turn. */
export function limitedClient(client: DhtClient, maxQueries: number): DhtClient {
  let running = 0
  const waiting = new Set<() => void>()

  /** Resolves with true when it is this query's turn, with false when the signal aborts first. */
  const turn = (signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      let listening: Disposable | undefined
      const decide = (): void => {
        waiting.delete(decide)
        listening?.[Symbol.dispose]()
        if (!signal.aborted) running++
        resolve(!signal.aborted)
      }
      if (running < maxQueries || signal.aborted) return decide()
      waiting.add(decide)
      listening = addAbortListener(signal, decide)
    })
  const over = (): void => {
    running--
    const [next] = waiting
    next?.()
  }

  return {
    async publish(record, routingKey, options) {
      if (!(await turn(options.signal))) return 0
      try {
        return await client.publish(record, routingKey, options)
      } finally {
        over()
      }
    },
    async *lookup(routingKey, options) {
      if (!(await turn(options.signal))) return
      try {
        yield* client.lookup(routingKey, options)
      } finally {
        over()
      }
    },
    get nodes() {
      return client.nodes
    },
    onNode: (listener) => client.onNode(listener),
  }
}
