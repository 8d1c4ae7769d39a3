import { addAbortListener } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Log, Message } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { Inbox } from '../store/inbox.ts'
import type { Amount, StoredMessage } from '../store/stored-message.ts'
import {
  decodeContent,
  isJson,
  isoTime,
  messagesName,
  messagesVersion,
  type Delivery,
  type Receipt,
} from './message-envelope.ts'
import type { MessageDevices, MessageListener } from './messaging-components.ts'

export interface ReceivedMessagesParts {
  inbox: Inbox
  devices: Pick<MessageDevices, 'nameOf'>
  listener: Pick<MessageListener, 'messageReceived' | 'inboxFull' | 'inboxDropped'>
  log: Log
}

/** Messages of other devices: stored before they are acknowledged, and read from the inbox. */
export class ReceivedMessages {
  readonly #parts: ReceivedMessagesParts
  readonly #arrivals = new Set<() => void>()
  /** Devices whose last delivery was refused: their share of the inbox is full. */
  readonly #full = new Set<PeerId>()
  readonly #closed = new AbortController()

  constructor(parts: ReceivedMessagesParts) {
    this.#parts = parts
    parts.inbox.onDropped((dropped) => {
      parts.log('info', 'inbox.pruned', { ...dropped })
      parts.listener.inboxDropped(dropped)
    })
  }

  /**
   * Stores a delivery; the receipt says that all of it is durable. Throws `inbox-full`, an error that the protocol declares,
   * `invalid-message`, or what the inbox throws.
   */
  receive(peer: PeerId, { messages }: Delivery): Receipt {
    const { inbox, listener, log } = this.#parts
    if (messages.some(({ kind, body }) => kind === 'json' && !isJson(body)))
      throw new SpacedockError('invalid-message', 'The message is not valid JSON.')
    const records = messages.map(({ at, ...message }) => ({ ...message, peerId: peer, atMs: at }))
    const acceptances = inbox.accept(records)
    if (!Array.isArray(acceptances)) throw this.#refusal(peer, messages.length, acceptances.room)
    this.#full.delete(peer)
    for (const [index, { outcome, sequence }] of acceptances.entries()) {
      const record = records[index]
      if (record === undefined) continue
      log('debug', 'message.received', { peer, id: record.id, outcome })
      if (outcome === 'new') listener.messageReceived(this.#describe({ ...record, sequence }))
    }
    for (const wake of this.#arrivals) wake()
    return { stored: true }
  }

  /** Messages behind the sequence `after`, the oldest first; all of them without a `limit`. */
  list(after = 0, limit?: number): Message[] {
    const options = limit === undefined ? { after } : { after, limit }
    return this.#parts.inbox.list(options).map((stored) => this.#describe(stored))
  }

  /** Yields the stored messages, then those that arrive. Reads from the database in pages, so a slow reader costs no memory. */
  async *listen(after: number, signal?: AbortSignal): AsyncIterableIterator<Message> {
    const end = AbortSignal.any([this.#closed.signal, ...(signal === undefined ? [] : [signal])])
    let last = after
    while (!end.aborted) {
      const arrival = this.#nextArrival(end)
      const page = this.list(last, 100)
      if (page.length === 0) await arrival.promise
      else arrival.ignore()
      for (const message of page) {
        if (end.aborted) return
        last = message.sequence
        yield message
      }
    }
  }

  /** Takes a message out; returns whether it was there. */
  remove(sequence: number): boolean {
    return this.#parts.inbox.remove(sequence)
  }

  /** Removes the messages that are there now, up to this sequence; in steps, between which others have their turn. */
  async clear(upTo = Number.MAX_SAFE_INTEGER): Promise<number> {
    const { inbox } = this.#parts
    const last = Math.min(upTo, inbox.lastSequence())
    let removed = 0
    for (;;) {
      const step = inbox.removeSome(last)
      if (step === 0) return removed
      removed += step
      await nextTurn()
    }
  }

  /** Ends what listens. */
  close(): void {
    this.#closed.abort()
  }

  /** Forgets a device that is not trusted any more. */
  forget(peer: PeerId): void {
    this.#full.delete(peer)
  }

  #refusal(peer: PeerId, count: number, room: Amount): Error {
    const { listener, log } = this.#parts
    const isFull = count === 1 || room.messages === 0
    if (isFull && !this.#full.has(peer)) {
      this.#full.add(peer)
      log('warn', 'inbox.full', { peer })
      listener.inboxFull(peer)
    }
    const message = 'The inbox has no room for more messages of this device.'
    return new ProtocolError(`${messagesName}/${messagesVersion}`, 'inbox-full', room, message)
  }

  /** Amount in the inbox, and the devices whose messages were refused and would be still; nothing once it is closed. */
  amount(): { messages: number; bytes: number; fullFor: { id: string; name: string }[] } {
    const { inbox, devices } = this.#parts
    if (this.#closed.signal.aborted) return { messages: 0, bytes: 0, fullFor: [] }
    const fullFor = [...this.#full].filter((peer) => inbox.isFullFor(peer))
    return { ...inbox.amount(), fullFor: fullFor.map((peer) => devices.nameOf(peer)) }
  }

  #describe(stored: StoredMessage): Message {
    return {
      id: stored.id,
      sequence: stored.sequence,
      from: this.#parts.devices.nameOf(stored.peerId),
      ...decodeContent(stored),
      at: isoTime(stored.atMs),
    }
  }

  #nextArrival(signal: AbortSignal): { promise: Promise<void>; ignore: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => {
      this.#arrivals.delete(wake)
      listening[Symbol.dispose]()
      resolve()
    }
    this.#arrivals.add(wake)
    const listening = addAbortListener(signal, wake)
    return { promise, ignore: wake }
  }
}
