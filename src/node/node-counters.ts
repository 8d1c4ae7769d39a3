import { type ByPath, type NodeMetrics, type PairingOutcome, pairingOutcomes } from '../metrics.ts'
import type { Inbox } from '../store/inbox.ts'
import type { Outbox } from '../store/outbox.ts'

type Path = keyof ByPath
type Role = keyof NodeMetrics['pairings']

/** Counts the events that pass through the composition root. */
export class NodeCounters {
  readonly #connections: ByPath = none()
  readonly #dials = { tried: 0, failed: 0 }
  readonly #sessions = { opened: 0, lost: 0 }
  readonly #encryption = { tls: 0, noise: 0, noiseForTls: 0 }
  readonly #messages = { sent: 0, delivered: 0, received: 0, duplicate: 0, expired: 0, dropped: 0 }
  readonly #bytes = { received: 0, sent: 0 }
  readonly #retries = { connections: 0, messages: 0 }
  readonly #pairings = { initiator: noOutcome(), joiner: noOutcome() }

  connectionOpened(path: Path): void {
    this.#connections[path]++
  }

  dialled(result: Promise<unknown>): void {
    this.#dials.tried++
    result.catch(() => this.#dials.failed++)
  }

  connectionRetried(): void {
    this.#retries.connections++
  }

  sessionOpened(encryption: 'tls' | 'noise'): void {
    this.#sessions.opened++
    this.#encryption[encryption]++
  }

  /** Counts a session over Noise with a device that speaks TLS, too, and is connected directly. */
  tlsMissed(): void {
    this.#encryption.noiseForTls++
  }

  sessionLost(): void {
    this.#sessions.lost++
  }

  readonly passed = (direction: 'received' | 'sent', byteLength: number): void => {
    this.#bytes[direction] += byteLength
  }

  /** Returns the same inbox, whose arrivals, and drops, are counted. */
  watchInbox(inbox: Inbox): Inbox {
    inbox.onDropped(({ messages }) => {
      this.#messages.dropped += messages
    })
    return {
      list: (options) => inbox.list(options),
      lastSequence: () => inbox.lastSequence(),
      amount: () => inbox.amount(),
      isFullFor: (peerId) => inbox.isFullFor(peerId),
      remove: (sequence) => inbox.remove(sequence),
      removeSome: (upTo) => inbox.removeSome(upTo),
      prune: () => inbox.prune(),
      onDropped: (listener) => inbox.onDropped(listener),
      accept: (messages) => {
        const acceptances = inbox.accept(messages)
        if (!Array.isArray(acceptances)) return acceptances
        for (const { outcome } of acceptances) this.#messages[outcome === 'new' ? 'received' : 'duplicate']++
        return acceptances
      },
    }
  }

  /** Returns the same outbox, in which additions are counted. */
  watchOutbox(outbox: Outbox): Outbox {
    return {
      batch: (peerId, roomBytes) => outbox.batch(peerId, roomBytes),
      list: () => outbox.list(),
      count: () => outbox.count(),
      remove: (ids) => outbox.remove(ids),
      untilExpiry: () => outbox.untilExpiry(),
      expire: (isUnderWay) => outbox.expire(isUnderWay),
      expired: () => outbox.expired(),
      dropFor: (peerId) => outbox.dropFor(peerId),
      add: (messages) => {
        const outcomes = outbox.add(messages)
        this.#messages.sent += outcomes.filter((outcome) => !(outcome instanceof Error)).length
        return outcomes
      },
    }
  }

  /** Counts a delivery whose receipt did not come: it is sent again. */
  messageRetried(): void {
    this.#retries.messages++
  }

  messageDelivered(): void {
    this.#messages.delivered++
  }

  messageExpired(): void {
    this.#messages.expired++
  }

  /** @param outcome `paired`, or the code of an error */
  pairingEnded(role: Role, outcome: string): void {
    this.#pairings[role][pairingOutcomes.find((known) => known === outcome) ?? 'failed']++
  }

  /** Returns a copy of the counts, with what is so `now`: the paths of open connections and of sessions in use, queued messages. */
  read(now: {
    connections: readonly Path[]
    sessions: readonly Path[]
    sessionsOverTls?: number
    queued: number
  }): NodeMetrics {
    return {
      connections: { opened: { ...this.#connections }, open: countPaths(now.connections) },
      dials: { ...this.#dials },
      sessions: {
        ...this.#sessions,
        open: countPaths(now.sessions),
        overTls: now.sessionsOverTls ?? 0,
        encryption: { ...this.#encryption },
      },
      messages: { ...this.#messages, queued: now.queued },
      bytes: { ...this.#bytes },
      retries: { ...this.#retries },
      pairings: { initiator: { ...this.#pairings.initiator }, joiner: { ...this.#pairings.joiner } },
    }
  }
}

function none(): ByPath {
  return { direct: 0, relayed: 0 }
}

function noOutcome(): Record<PairingOutcome, number> {
  return Object.fromEntries(pairingOutcomes.map((outcome) => [outcome, 0])) as Record<PairingOutcome, number>
}

function countPaths(paths: readonly Path[]): ByPath {
  const count = none()
  for (const path of paths) count[path]++
  return count
}
