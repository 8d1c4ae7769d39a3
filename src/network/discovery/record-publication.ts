import { pause } from '../../clock.ts'
import {
  encodeAddressRecord,
  recordNonceLength,
  recordRoutingKey,
  writerOf,
  type RecordKeys,
} from '../../pairing/address-record.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { Backoff } from '../backoff.ts'
import { startDeadline } from '../deadline.ts'
import type { DhtClient } from '../dht/dht-client.ts'
import { addressesToPublish } from '../addresses/address-filter.ts'
import { randomFraction, type RecordParts } from './record-parts.ts'
import { newerRecords } from './record-search.ts'

/** Record to keep in the DHT. */
export interface Publication {
  /** Returns the present content; called before each publication. */
  current: () => {
    /** Null for none: nothing is published then. */
    keys: RecordKeys | null
    /** Least sequence; a record under the same keys gets a higher one than the one before in any case. */
    sequence: bigint
    /** Time until the keys change, in ms. */
    changesInMs: number
  }
  /** Whether an earlier run of this device may have published under the same keys. */
  mayExist: boolean
  /** Interval of republication, give or take a quarter. */
  intervalMs: number
  onStatus: (status: 'ready' | 'unavailable', detail: string) => void
}

/**
 * Publishes at once, when addresses or DHT nodes come or go, and at intervals, until the signal aborts. After a failure it tries
 * again, later each time.
 */
export async function keepPublished(
  parts: RecordParts,
  publication: Publication,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { client, clock, log } = parts
  const sleep = new InterruptibleSleep(clock)
  const startedAtMs = clock.monotonic()
  let last = { seed: '', sequence: -1n, addresses: '', stored: 0 }
  const backoff = new Backoff(() => randomFraction(parts))
  const stopAddresses = parts.onAddressChange(() => {
    if (ownAddresses(parts).join() !== last.addresses) sleep.interrupt()
  })
  const stopNodes = client.onNode(() => {
    if (last.stored < enoughNodes) sleep.interrupt()
  })
  try {
    while (!signal.aborted) {
      const { keys, sequence, changesInMs } = publication.current()
      if (keys === null) {
        await sleep.for(Math.min(publication.intervalMs, changesInMs), signal)
        continue
      }
      const seed = writerOf(keys)
      if (publication.mayExist && client.nodes > 0 && last.seed !== seed) {
        const highest = await highestSequence(parts, keys, signal)
        if (signal.aborted) return
        last = { ...last, seed, sequence: highest }
      }
      const next = last.seed === seed && last.sequence >= sequence ? last.sequence + 1n : sequence
      const addresses = ownAddresses(parts)
      const { nodes } = client
      const stored = await publishOnce(parts, keys, next, addresses, signal).catch((error: unknown) => {
        log('debug', 'dht.publish-failed', { error: String(error) })
        return 0
      })
      if (signal.aborted) return
      last = { ...last, addresses: addresses.join(), stored }
      if (nodes > 0) last = { ...last, seed, sequence: next }
      if (stored > 0) {
        log('debug', 'dht.published', { nodes: stored, addresses: addresses.length })
        backoff.reset()
      }
      const isStarting = client.nodes === 0 && clock.monotonic() - startedAtMs < graceMs
      if (stored > 0) publication.onStatus('ready', `published to ${countNodes(stored)}`)
      else if (!isStarting) publication.onStatus('unavailable', reason(client, addresses))
      const random = randomFraction(parts)
      const regularMs = publication.intervalMs * (0.75 + random / 2)
      const delayMs = stored > 0 ? regularMs : isStarting ? graceMs : backoff.next()
      // Changes come in bursts: they settle first. Interrupts are dropped then, except for nodes and addresses not yet known.
      if (stored > 0) await pause(clock, settleMs, signal)
      sleep.clear()
      const knowsMore = client.nodes > nodes && stored < enoughNodes
      if (knowsMore || ownAddresses(parts).join() !== last.addresses) sleep.interrupt()
      await sleep.for(Math.min(delayMs, changesInMs + random * spreadMs), signal)
    }
  } finally {
    stopAddresses()
    stopNodes()
  }
}

export function countNodes(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`
}

/** Time to learn of a first DHT node, before its lack is reported. */
export const graceMs = 4_000

/** Finds the highest published sequence: a restart may come within the unit of the sequence, and a clock may be set back. */
async function highestSequence(parts: RecordParts, keys: RecordKeys, signal: AbortSignal): Promise<bigint> {
  let highest = -1n
  for await (const { sequence } of newerRecords(parts, keys, { above: -1n, signal })) highest = sequence
  return highest
}

async function publishOnce(
  { client, suite, clock, random, peer }: RecordParts,
  keys: RecordKeys,
  sequence: bigint,
  addresses: string[],
  signal: AbortSignal,
): Promise<number> {
  if (client.nodes === 0 || addresses.length === 0) return 0
  const record = await encodeAddressRecord(
    suite,
    keys,
    { peer, addresses },
    { sequence, validUntil: validUntil(clock.wall()), nonce: random(recordNonceLength) },
  )
  const deadline = startDeadline(publishTimeoutMs, () => new Error('not published in time'), { signal })
  try {
    return await client.publish(record, await recordRoutingKey(keys), { signal: deadline.signal })
  } finally {
    deadline.stop()
  }
}

function ownAddresses({ addresses, peer, usesOnlyLoopback }: RecordParts): string[] {
  return addressesToPublish(addresses(), { peer, allowLoopback: usesOnlyLoopback() })
}

/** Validity of 42 to 48 h, rounded: everybody can read it, and an exact time would tell how far off a device's clock is. */
function validUntil(wallMs: number): string {
  const unitMs = 6 * 3_600_000
  return new Date((Math.floor(wallMs / unitMs) + 8) * unitMs).toISOString()
}

function reason(client: DhtClient, addresses: string[]): string {
  if (client.nodes === 0) return 'no rendezvous node can be reached'
  return addresses.length === 0
    ? 'this device has no address for others'
    : 'no rendezvous node took the record'
}

/** Number of nodes with which a record survives without the next node that comes. */
const enoughNodes = 5
const publishTimeoutMs = 20_000
const settleMs = 500
/** Spread of replacements, for records whose keys end at the same time. */
const spreadMs = 120_000
