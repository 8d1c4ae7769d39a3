import type { AddressRecordContent, AddressRecordKeys } from '../../pairing/address-record.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { randomFraction, type RecordParts } from './record-parts.ts'
import { countNodes, graceMs, keepPublished } from './record-publication.ts'
import { newerRecords } from './record-search.ts'
import type { CandidateSearch, CandidateSource, FoundPeer } from './candidate-sources.ts'
import { parsePeerId } from '../../libp2p-peer.ts'

type OnStatus = (status: 'ready' | 'unavailable', detail: string) => void

export interface PublishOptions {
  signal: AbortSignal
  onStatus: OnStatus
  /** Whether there may be a record under the same keys already, whose sequence this one must exceed. @default false */
  mayExist?: boolean
}

export interface SourceOptions {
  /** Writer of the record. */
  awaits: 'initiator' | 'joiner'
  /** Called when a record has a version that this program cannot read. */
  onOtherVersion?: (version: number) => void
}

/** Lets the two devices of a code find each other through a DHT: each publishes a record and looks up the other's. */
export class CodeRecords {
  readonly #parts: RecordParts
  /** Pauses of the lookups under way. */
  readonly #sleeps = new Set<InterruptibleSleep>()

  constructor(parts: RecordParts) {
    this.#parts = parts
  }

  /** Keeps this device's record under the keys in the DHT until the signal aborts. */
  async publish(
    keys: AddressRecordKeys,
    { signal, onStatus, mayExist = false }: PublishOptions,
  ): Promise<void> {
    const current = () => ({ keys, sequence: 1n, changesInMs: Number.POSITIVE_INFINITY })
    await keepPublished(
      this.#parts,
      { current, mayExist, intervalMs: republishMs, onStatus: changesOnly(onStatus) },
      { signal },
    )
  }

  /** Yields the writers of records under the keys. */
  source(keys: AddressRecordKeys, options: SourceOptions): CandidateSource {
    return { name: 'internet', find: (search) => this.#find(keys, options, search) }
  }

  /** Starts all lookups over, with short pauses: this device has changed networks, or has slept. */
  look(): void {
    for (const sleep of this.#sleeps) sleep.interrupt()
  }

  async #find(
    keys: AddressRecordKeys,
    { awaits, onOtherVersion }: SourceOptions,
    { signal, onCandidate, onStatus }: CandidateSearch,
  ): Promise<void> {
    const { client, clock } = this.#parts
    const sleep = new InterruptibleSleep(clock)
    this.#sleeps.add(sleep)
    const startedAtMs = clock.monotonic()
    const tell = changesOnly((status, detail) => onStatus('internet', status, detail))
    const named = new Set<string>()
    let newest = -1n
    let pauseMs = firstPauseMs
    let nodes = 0
    // The first node is asked at once; later ones joined to answer this very lookup.
    const stopNodes = client.onNode(() => {
      if (nodes === 0) sleep.interrupt()
    })
    try {
      while (!signal.aborted) {
        nodes = client.nodes
        if (newest < 0n) this.#tellNodes(tell, startedAtMs)
        for await (const { content, sequence } of newerRecords(this.#parts, keys, {
          above: newest,
          signal,
          onOtherVersion,
        })) {
          if (newest < 0n) pauseMs = firstPauseMs
          newest = sequence
          const found = await this.#candidate(content, named)
          if (found === null) continue
          tell('ready', 'found the other device')
          onCandidate(found)
        }
        const delayMs = pauseMs * (0.5 + randomFraction(this.#parts))
        pauseMs = Math.min(newest < 0n ? longestPausesMs[awaits] : longestLaterMs, pauseMs * 2)
        if (await sleep.for(delayMs, signal)) pauseMs = firstPauseMs
      }
    } finally {
      stopNodes()
      this.#sleeps.delete(sleep)
    }
  }

  #tellNodes(tell: OnStatus, startedAtMs: number): void {
    const { client, clock } = this.#parts
    if (client.nodes > 0) tell('ready', `asking ${countNodes(client.nodes)}`)
    else if (clock.monotonic() - startedAtMs > graceMs)
      tell('unavailable', 'no rendezvous node can be reached')
  }

  /** Returns the writer of the record; `named` are the addresses of all records of this search, which are bounded. */
  async #candidate(content: AddressRecordContent, named: Set<string>): Promise<FoundPeer | null> {
    const peer = parsePeerId(content.peer)
    const { peer: self, dialable } = this.#parts
    if (peer === null || peer === self) return null
    const addresses: string[] = []
    for (const address of await dialable.usable(content.addresses, peer)) {
      if (named.size < maxNamed) named.add(address)
      if (named.has(address)) addresses.push(address)
    }
    return { peer, addresses, urgent: true }
  }
}

/** Most different addresses dialled for one code: a holder of the words may write one record after the other. */
const maxNamed = 48
/** Pause between two lookups, give or take half: twice as long each time. */
const firstPauseMs = 500
/**
 * Longest pauses. The initiator's record is there before a person can type the words. The joiner's comes when that has been done,
 * and mostly the joiner reaches the initiator without it.
 */
const longestPausesMs = { initiator: 4_000, joiner: 15_000 }
/** Longest pause once a record was found: the first one of a device that has just started lacks its relayed addresses. */
const longestLaterMs = 10_000
const republishMs = 180_000

/** Reports a status only when it differs from the one before. */
function changesOnly(onStatus: OnStatus): OnStatus {
  let last = ''
  return (status, detail) => {
    if (last === status + detail) return
    last = status + detail
    onStatus(status, detail)
  }
}
