import { setMaxListeners } from 'node:events'
import type { KadDHT } from '@libp2p/kad-dht'
import type { PeerId } from '@libp2p/interface'
import { Libp2pRecord } from '@libp2p/record'
import { untilAborted } from '../../abort.ts'
import { onNodeOf, routingTableOf, type DhtClient, type DhtHost } from './dht-client.ts'
import { privateDhtProtocol } from './dht-protocols.ts'
import { validateRecord } from './dht-service.ts'
import type { Members } from './members.ts'
import { networkOf } from './named-peers.ts'

/**
 * Client of a private DHT: asks all of its nodes at once. With no more nodes than a Kademlia bucket has room for, all of them are
 * the closest to any key, and a walk from one to the next would only let each hold up the others.
 */
export function privateDhtClient(host: DhtHost, members: Members): DhtClient {
  const { dht } = host.services
  const routingTable = routingTableOf(dht)
  // Kademlia itself looks around half a second after its start, when there may be nobody yet, and then after minutes.
  routingTable.addEventListener('peer:add', ({ detail }: CustomEvent<PeerId>) => {
    const question: Question = { type: 'FIND_NODE', key: anyKey }
    ask(dht, detail, question, AbortSignal.timeout(answerTimeoutMs)).catch(() => {})
  })
  const nodes = (): PeerId[] => routingTable.closestPeers(anyKey, { count: maxNodes })

  /** Yields the answers as they come, until all are there or the signal aborts; null for a node that gave none. */
  async function* askAll(question: Question, signal: AbortSignal): AsyncGenerator<Uint8Array | null> {
    const enough = new AbortController()
    const either = AbortSignal.any([signal, enough.signal])
    // Every request adds a listener.
    setMaxListeners(0, either)
    const asked = new Map(
      nodes().map((node) => {
        const name = node.toString()
        const answered = ask(dht, node, question, either).catch(() => null)
        return [name, answered.then((answer) => ({ name, answer }))]
      }),
    )
    try {
      while (asked.size > 0 && !signal.aborted) {
        const next = await untilAborted(Promise.race(asked.values()), signal).catch(() => null)
        if (next === null) return
        asked.delete(next.name)
        yield next.answer
      }
    } finally {
      enough.abort()
    }
  }

  return {
    async publish(record, routingKey, { signal }) {
      let stored = 0
      for await (const answer of askAll({ type: 'PUT_VALUE', key: routingKey, value: record }, signal))
        if (answer !== null && Buffer.compare(answer, record) === 0) stored++
      return stored
    },

    async *lookup(routingKey, { signal }) {
      for await (const answer of askAll({ type: 'GET_VALUE', key: routingKey }, signal))
        if (answer !== null && (await isValid(routingKey, answer))) yield answer
    },

    get nodes() {
      return routingTable.size
    },

    onNode: (listener) =>
      onNodeOf(
        host,
        listener,
        ({ protocols, peerId }) => protocols.includes(privateDhtProtocol) && members.has(peerId.toString()),
      ),
  }
}

/** Bucket of Kademlia, and more than the members of a DHT that a person configured. */
const maxNodes = 20
const anyKey = new Uint8Array(32)
const answerTimeoutMs = 10_000

interface Question {
  type: 'PUT_VALUE' | 'GET_VALUE' | 'FIND_NODE'
  /** Routing key. */
  key: Uint8Array
  /** Record to store. */
  value?: Uint8Array
}

/** Resolves with the record of the answer; with null when there is none. The DHT has a deadline of its own for each node. */
async function ask(
  dht: KadDHT,
  node: PeerId,
  { type, key, value }: Question,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const record = value === undefined ? {} : { record: new Libp2pRecord(key, value, new Date()).serialize() }
  const path = { index: 0, queued: 0, running: 0, total: 0 }
  for await (const event of networkOf(dht).sendRequest(node, { type, key, ...record }, { signal, path }))
    if (event.name === 'PEER_RESPONSE' && event.messageName === type) return event.record?.value ?? null
  return null
}

async function isValid(routingKey: Uint8Array, record: Uint8Array): Promise<boolean> {
  return validateRecord(routingKey, record).then(
    () => true,
    () => false,
  )
}
