import { setMaxListeners } from 'node:events'
import type { IdentifyResult, PeerId, TypedEventTarget } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import type { Libp2p } from 'libp2p'
import { untilAborted } from '../../abort.ts'

/** DHT operations of a device, the same on every host. */
export interface DhtClient {
  /**
   * Stores the record at the nodes closest to its key; resolves with how many have it. Ends at the signal, with as many as
   * have it by then.
   */
  publish(record: Uint8Array, routingKey: Uint8Array, options: { signal: AbortSignal }): Promise<number>
  /**
   * Yields the record of every node that has one, as the answers come in, so that a caller can use the first. Signatures are
   * checked. Ends when all close nodes have answered, or at the signal.
   */
  lookup(routingKey: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<Uint8Array>
  /** Number of DHT nodes that can be asked. */
  readonly nodes: number
  /** Calls back when there is another node, or one is back; the function returned stops it. */
  onNode(listener: () => void): () => void
}

/** A host that has the service `dht`. */
export type DhtHost = Pick<Libp2p<{ dht: KadDHT }>, 'services' | 'addEventListener' | 'removeEventListener'>

/** Client of a public DHT, which is too large to be asked whole. `protocol`: the one that this DHT speaks. */
export function publicDhtClient(host: DhtHost, protocol: string): DhtClient {
  const { dht } = host.services
  const routingTable = routingTableOf(dht)
  return {
    async publish(record, routingKey, { signal }) {
      let stored = 0
      const query = (own: AbortSignal): AsyncIterable<QueryEvent> =>
        dht.put(routingKey, record, { signal: own })
      for await (const event of bounded(query, signal)) {
        const answer = answerTo('PUT_VALUE', event)
        if (answer !== null && Buffer.compare(answer, record) === 0) stored++
      }
      return stored
    },

    async *lookup(routingKey, { signal }) {
      const query = (own: AbortSignal): AsyncIterable<QueryEvent> => dht.get(routingKey, { signal: own })
      for await (const event of bounded(query, signal)) {
        const answer = answerTo('GET_VALUE', event)
        if (answer !== null) yield answer
      }
    },

    get nodes() {
      return routingTable.size
    },

    onNode: (listener) =>
      onNodeOf(host, listener, ({ protocols, connection }) => {
        // Whoever has come by itself may only want a query.
        return connection.direction === 'outbound' && protocols.includes(protocol)
      }),
  }
}

/** Calls back when there is another node, or one is back that counts; the function returned stops it. */
export function onNodeOf(
  host: DhtHost,
  listener: () => void,
  counts: (identified: IdentifyResult) => boolean,
): () => void {
  const routingTable = routingTableOf(host.services.dht)
  // A node that comes back has lost its records, but is not new to the routing table.
  const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    if (counts(detail)) listener()
  }
  routingTable.addEventListener('peer:add', listener)
  host.addEventListener('peer:identify', onIdentify)
  return () => {
    routingTable.removeEventListener('peer:add', listener)
    host.removeEventListener('peer:identify', onIdentify)
  }
}

type QueryEvent = ReturnType<KadDHT['get']> extends AsyncIterable<infer Event> ? Event : never

function answerTo(question: 'PUT_VALUE' | 'GET_VALUE', event: QueryEvent): Uint8Array | null {
  if (event.name !== 'PEER_RESPONSE' || event.messageName !== question) return null
  return event.record?.value ?? null
}

/**
 * Most nodes that one query asks, put and all: an honest one is done after some forty, and hostile nodes can name closer ones for
 * ever.
 */
const maxAsked = 96

/** Yields a query's events until it or the signal ends, even when the query is stuck; the signal ends the query, too. */
async function* bounded(
  query: (signal: AbortSignal) => AsyncIterable<QueryEvent>,
  signal: AbortSignal,
): AsyncGenerator<QueryEvent> {
  const own = new AbortController()
  const either = AbortSignal.any([signal, own.signal])
  // Every request of the query adds a listener.
  setMaxListeners(0, either)
  const events = query(either)[Symbol.asyncIterator]()
  try {
    let asked = 0
    while (!signal.aborted) {
      const next = await untilAborted(events.next(), signal)
      if (next.done === true) return
      if (next.value.name === 'SEND_QUERY' && ++asked > maxAsked) return
      yield next.value
    }
  } catch (error) {
    // A query ends with an error when a node with an older record does not take the newest: harmless here.
    if (!signal.aborted && !(error instanceof Error && error.name === 'QueryError')) throw error
  } finally {
    own.abort()
    events.return?.().catch(() => {})
  }
}

/** Routing table, which its type does not show to be the event target that tells when nodes come. */
export interface RoutingTable extends TypedEventTarget<{ 'peer:add': CustomEvent<PeerId> }> {
  size: number
  /** Nodes of the table, those closest to a key of 32 bytes first. */
  closestPeers(key: Uint8Array, options: { count: number }): PeerId[]
}
export function routingTableOf(dht: KadDHT): RoutingTable {
  const table = 'routingTable' in dht ? dht.routingTable : undefined
  if (!(table instanceof EventTarget) || !('size' in table))
    throw new TypeError('a DHT without a routing table')
  return table as RoutingTable
}
