import * as v from 'valibot'
import type { Clock, Log, Message, MessageContent, Protocol, QueuedMessage, SendResult } from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import type { Inbox } from '../store/inbox.ts'
import type { Outbox } from '../store/outbox.ts'
import type { StoredMessage } from '../store/stored-message.ts'
import { OneAtATime } from './one-at-a-time.ts'

/** What a message needs of the rest of the node. */
export interface MessagingComponents {
  inbox: Inbox
  outbox: Outbox
  clock: Clock
  log: Log
  randomId: () => string
  /** Asks over the live session with this peer; null when there is none. */
  requestOf: (
    peer: string,
  ) => ((value: Envelope, options: { signal: AbortSignal }) => Promise<unknown>) | null
  nameOf: (peer: string) => { id: string; name: string }
  onMessage: (message: Message) => void
  onDelivered: (delivered: { id: string; to: string }) => void
}

const envelopeSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,64}$/)),
  kind: v.picklist(['text', 'json']),
  body: v.string(),
  at: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8.64e15)),
})
const receiptSchema = v.strictObject({ stored: v.literal(true) })

/** One message on the wire: `body` is the text itself, or JSON text. */
export type Envelope = v.InferOutput<typeof envelopeSchema>
type Receipt = v.InferOutput<typeof receiptSchema>

/** Longest that `send` waits for the receipt of a connected device before it calls the message queued. */
const deliveryPatienceMs = 10_000
/** After the other side could not store a message (its disk is full, say). */
const retryMs = 5_000
/** After a session broke: long enough that it is gone from the supervisor. */
const brokenSessionMs = 50

/**
 * Messages between paired devices. A message is durable in the outbox before it is sent, and leaves the outbox when
 * the receiver says that it is durable there; the receiver knows ids it has seen. So each arrives once, in order,
 * whatever is killed in between.
 */
export class MessagingService {
  readonly #components: MessagingComponents
  readonly #delivery = new OneAtATime((peer) => this.#deliver(peer))
  readonly #receipts = new Map<string, () => void>()
  readonly #arrivals = new Set<() => void>()
  readonly #closed = new AbortController()

  constructor(components: MessagingComponents) {
    this.#components = components
  }

  /** What the protocol registry serves. */
  get protocol(): Protocol<Envelope, Receipt> {
    return {
      name: 'spacedock-message',
      version: 1,
      request: envelopeSchema,
      response: receiptSchema,
      handler: (envelope, { device }) => this.#receive(device.peerId, envelope),
    }
  }

  /** `connected` is awaited once the message is safe: when it resolves, it is known whether the device is there. */
  async send(
    peer: string,
    content: MessageContent,
    connected: () => Promise<void>,
    signal?: AbortSignal,
  ): Promise<SendResult> {
    const { outbox, clock, randomId, requestOf } = this.#components
    const id = randomId()
    outbox.add({ id, peerId: peer, ...encodeContent(content), atMs: clock.wall() })
    // From now on it may be delivered at any moment, by whoever serves the peer already.
    const receipt = new Promise<'delivered'>((resolve) => this.#receipts.set(id, () => resolve('delivered')))
    const ended = new AbortController()
    try {
      await connected()
      if (requestOf(peer) === null) return { id, status: 'queued' }

      const patience = [ended.signal, this.#closed.signal, ...(signal === undefined ? [] : [signal])]
      const impatient = pause(clock, deliveryPatienceMs, AbortSignal.any(patience)).then(
        () => 'queued' as const,
      )
      this.pump(peer)
      return { id, status: await Promise.race([receipt, impatient]) }
    } finally {
      ended.abort()
      this.#receipts.delete(id)
    }
  }

  /** Sends what waits for this peer, in order, as long as there is a session. Called at every new session. */
  pump(peer: string): void {
    if (!this.#closed.signal.aborted) this.#delivery.want(peer)
  }

  outboxMessages(): QueuedMessage[] {
    const { outbox, nameOf } = this.#components
    return outbox.list().map((stored) => ({
      id: stored.id,
      to: nameOf(stored.peerId),
      ...decodeContent(stored),
      at: isoTime(stored),
    }))
  }

  inboxMessages(after = 0, limit?: number): Message[] {
    const options = limit === undefined ? { after } : { after, limit }
    return this.#components.inbox.list(options).map((stored) => this.#describe(stored))
  }

  /** What is there, then what comes. Reads from the database in pages, so a slow reader costs no memory. */
  async *messages(after: number, signal?: AbortSignal): AsyncIterableIterator<Message> {
    const end = AbortSignal.any([this.#closed.signal, ...(signal === undefined ? [] : [signal])])
    let last = after
    while (!end.aborted) {
      const arrival = this.#nextArrival(end)
      const page = this.inboxMessages(last, 100)
      if (page.length === 0) await arrival.promise
      else arrival.ignore()
      for (const message of page) {
        if (end.aborted) return
        last = message.sequence
        yield message
      }
    }
  }

  close(): void {
    this.#closed.abort()
  }

  #receive(peer: string, { id, kind, body, at }: Envelope): Receipt {
    const { inbox, onMessage, log } = this.#components
    if (kind === 'json' && !isJson(body))
      throw new SpacedockError('invalid-message', 'The message is not valid JSON.')
    const { outcome, sequence } = inbox.accept({ id, peerId: peer, kind, body, atMs: at })
    log('debug', 'message.received', { peer, id, outcome })
    if (outcome === 'new') {
      onMessage(this.#describe({ id, peerId: peer, kind, body, atMs: at, sequence }))
      for (const wake of this.#arrivals) wake()
    }
    return { stored: true }
  }

  async #deliver(peer: string): Promise<'done'> {
    try {
      await this.#drain(peer)
    } catch (error) {
      this.#components.log('error', 'messages.stuck', { peer, error: String(error) })
    }
    return 'done'
  }

  async #drain(peer: string): Promise<void> {
    const { outbox, requestOf, onDelivered, log, clock } = this.#components
    for (;;) {
      const request = requestOf(peer)
      const next = outbox.next(peer)
      if (request === null || next === undefined || this.#closed.signal.aborted) return
      const envelope: Envelope = { id: next.id, kind: next.kind, body: next.body, at: next.atMs }
      try {
        v.parse(receiptSchema, await request(envelope, { signal: this.#closed.signal }))
      } catch (error) {
        if (this.#closed.signal.aborted) return
        log('warn', 'message.not-delivered', { peer, id: next.id, error: String(error) })
        const broken = error instanceof SpacedockError && error.code === 'interrupted'
        // A broken session has a successor sooner or later; a device that cannot store now may be able to later.
        await pause(clock, broken ? brokenSessionMs : retryMs, this.#closed.signal)
        continue
      }
      outbox.remove(next.id)
      this.#receipts.get(next.id)?.()
      onDelivered({ id: next.id, to: peer })
    }
  }

  #describe(stored: StoredMessage): Message {
    return {
      id: stored.id,
      sequence: stored.sequence,
      from: this.#components.nameOf(stored.peerId),
      ...decodeContent(stored),
      at: isoTime(stored),
    }
  }

  #nextArrival(signal: AbortSignal): { promise: Promise<void>; ignore: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => {
      this.#arrivals.delete(wake)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    this.#arrivals.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    return { promise, ignore: wake }
  }
}

function encodeContent(content: MessageContent): { kind: 'text' | 'json'; body: string } {
  if (typeof content === 'string') return { kind: 'text', body: content }
  if ('text' in content) return { kind: 'text', body: content.text }
  const body: string | undefined = JSON.stringify(content.json)
  if (body === undefined) {
    throw new SpacedockError('invalid-argument', 'The value cannot be written as JSON.', {
      hint: 'Send a string, or something made of objects, arrays, numbers, strings, booleans and null.',
    })
  }
  return { kind: 'json', body }
}

function decodeContent({ kind, body }: StoredMessage): { text: string } | { json: unknown } {
  return kind === 'text' ? { text: body } : { json: JSON.parse(body) as unknown }
}

function isoTime({ atMs }: StoredMessage): string {
  return new Date(atMs).toISOString()
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
