import * as v from 'valibot'
import type { MessageContent, Protocol, QueuedMessage, SendResult } from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { sideToUpdate } from '../other-version.ts'
import { atDeadline } from '../network/deadline.ts'
import { UnknownProtocolError } from '../protocol-error.ts'
import type { Session } from '../network/session/session.ts'
import type { NewMessage } from '../store/outbox.ts'
import type { WaitingMessage } from '../store/outbox-expiry.ts'
import {
  writtenBytesOf,
  type Amount,
  type MessageRecord,
  type StoredMessage,
} from '../store/stored-message.ts'
import {
  decodeContent,
  deliveryErrors,
  deliverySchema,
  encodeContent,
  isoTime,
  messagesName,
  messagesVersion,
  receiptSchema,
  roomIn,
  toEnvelope,
  type Delivery,
  type Receipt,
} from './message-envelope.ts'
import { HeldDeliveries } from './held-deliveries.ts'
import { MessageEntry } from './message-entry.ts'
import { MessageUpkeep } from './message-upkeep.ts'
import type { MessagingComponents } from './messaging-components.ts'
import { OneAtATime } from './one-at-a-time.ts'
import { ReceivedMessages } from './received-messages.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerOf } from '../libp2p-peer.ts'

export interface MessageOptions {
  /** Resolves when it is known whether the device is there; awaited once the message is safe. */
  connected: () => Promise<void>
  /** Lifetime of the message; Infinity: it waits for ever. @default as the outbox is set */
  expiresInMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** Longest time that `send` waits for the receipt of a connected device before it calls the message queued. */
const deliveryPatienceMs = 10_000
/** Wait after the other side could not store a message (its disk is full, say). */
const retryMs = 5_000
/** Wait after a session broke: long enough that it is gone from the supervisor. */
const brokenSessionMs = 50

/**
 * Messages between paired devices. A message is durable in the outbox before it is sent, and leaves the outbox when
 * the receiver says that it is durable there; the receiver knows ids it has seen. So each arrives once, in order,
 * whatever is killed in between. Only one that is too large for the path, over a relay with limits, is passed by others.
 */
export class MessagingService {
  readonly received: ReceivedMessages
  readonly #components: MessagingComponents
  readonly #delivery = new OneAtATime((peer) => this.#deliver(peer))
  /** Receipts that `send` awaits, by message id. */
  readonly #receipts = new Map<
    string,
    { peer: PeerId; arrived: PromiseWithResolvers<SendResult['status']> }
  >()
  readonly #entry: MessageEntry
  /** Ids of messages sent without a receipt yet. */
  readonly #underWay = new Set<string>()
  /** Devices that take messages of other versions only, and the side whose program has to be updated. */
  readonly #toUpdate = new Map<string, 'update-here' | 'update-there'>()
  readonly #held = new HeldDeliveries()
  readonly #upkeep: MessageUpkeep
  readonly #closed = new AbortController()

  constructor(components: MessagingComponents) {
    this.#components = components
    this.received = new ReceivedMessages(components)
    this.#upkeep = new MessageUpkeep({ ...components, underWay: this.#underWay })
    this.#entry = new MessageEntry({ ...components, upkeep: this.#upkeep })
  }

  /** Starts the upkeep: messages expire and old ones go. */
  start(): void {
    this.#upkeep.start()
  }

  /** Protocol that the registry serves. */
  get protocol(): Protocol<Delivery, Receipt> {
    return {
      name: messagesName,
      version: messagesVersion,
      errors: deliveryErrors,
      request: deliverySchema,
      response: receiptSchema,
      handler: (delivery, { device }) => this.received.receive(peerOf(device), delivery),
    }
  }

  async send(peer: PeerId, content: MessageContent, options: MessageOptions): Promise<SendResult> {
    const { connected, signal, expiresInMs } = options
    const { clock, random } = this.#components
    const id = Buffer.from(random(16)).toString('base64url')
    const message = { id, peerId: peer, ...encodeContent(content), atMs: clock.wall() }
    const entered = this.#entry.enter({ ...message, ...lifetime(expiresInMs) })
    // The message may be delivered, by the pump that serves the peer already, or dropped as soon as it is stored.
    const arrived = Promise.withResolvers<SendResult['status']>()
    arrived.promise.catch(() => {})
    this.#receipts.set(id, { peer, arrived })
    let stopWaiting: (() => void) | undefined
    try {
      await entered
      await connected()
      const waitsFor = this.#waitsFor(message)
      // Its inbox may have room by now, and nothing that waited before have asked.
      if (waitsFor === 'inbox-full') this.pump(peer)
      if (waitsFor !== null)
        return { id, status: await Promise.race([arrived.promise, Promise.resolve('queued' as const)]) }

      const giveUp = (): void => arrived.resolve('queued')
      stopWaiting = atDeadline(deliveryPatienceMs, noReceipt, giveUp, { signal, clock })
      this.pump(peer)
      return { id, status: await arrived.promise }
    } finally {
      stopWaiting?.()
      this.#receipts.delete(id)
    }
  }

  /** Sends the messages that wait for this peer, in order, as long as there is a session. Called at every new session. */
  pump(peer: PeerId): void {
    if (!this.#closed.signal.aborted) this.#delivery.want(peer)
  }

  /** Tells `send` that the device was revoked, and its waiting messages dropped. */
  dropped(peer: PeerId, why: Error): void {
    this.#toUpdate.delete(peer)
    this.#held.end(peer)
    this.received.forget(peer)
    for (const receipt of this.#receipts.values()) if (receipt.peer === peer) receipt.arrived.reject(why)
  }

  /** Messages that wait, behind the last of those that waited too long. */
  queued(): QueuedMessage[] {
    const { outbox, devices } = this.#components
    const describe =
      (state: QueuedMessage['state']) =>
      (stored: WaitingMessage): QueuedMessage => ({
        id: stored.id,
        to: devices.nameOf(stored.peerId),
        ...decodeContent(stored),
        at: isoTime(stored.atMs),
        state,
        waitsFor: state === 'queued' ? this.#waitsFor(stored) : null,
        expiresAt: stored.expiresAtMs === null ? null : isoTime(stored.expiresAtMs),
      })
    return [...outbox.expired().map(describe('expired')), ...outbox.list().map(describe('queued'))]
  }

  close(): void {
    this.#upkeep.stop()
    this.#closed.abort()
    for (const { arrived } of this.#receipts.values()) arrived.resolve('queued')
    this.received.close()
  }

  async #deliver(peer: PeerId): Promise<'done'> {
    try {
      await this.#drain(peer)
    } catch (error) {
      this.#components.log('error', 'messages.stuck', { peer, error: String(error) })
    }
    return 'done'
  }

  async #drain(peer: PeerId): Promise<void> {
    const { outbox, sessions, listener } = this.#components
    for (;;) {
      const session = sessions.sessionOf(peer)
      const waiting = outbox.batch(peer, session?.budget?.roomBytes)
      // What was refused may have expired: nothing is held any more.
      if (waiting.length === 0) this.#held.end(peer)
      const batch = this.#held.fitting(peer, waiting)
      const isHeld = this.#components.copies.has(peer)
      if (session === undefined || isHeld || batch.length === 0 || this.#closed.signal.aborted) return
      const pauseMs = await this.#deliverBatch(peer, session, batch)
      if (this.#closed.signal.aborted || pauseMs === 'not-now') return
      if (pauseMs !== 'delivered') {
        await pause(this.#components.clock, pauseMs, this.#closed.signal)
        continue
      }
      if (batch.length === waiting.length) this.#held.end(peer)
      else this.#held.taken(peer, batch)
      for (const { id } of batch) {
        this.#receipts.get(id)?.arrived.resolve('delivered')
        listener.messageDelivered(id, peer)
      }
    }
  }

  /** Delivers once. Resolves to the wait until the next try, in milliseconds; `not-now`: on another session. Never rejects. */
  async #deliverBatch(
    peer: PeerId,
    session: Pick<Session, 'request' | 'forsaken'>,
    batch: readonly StoredMessage[],
  ): Promise<'delivered' | 'not-now' | number> {
    const ids = batch.map(({ id }) => id)
    for (const id of ids) this.#underWay.add(id)
    try {
      const { name, version } = this.protocol
      // A delivery lost on a path that died is sent again over the one that took its place: the receiver knows it by its ids.
      const signal = AbortSignal.any([this.#closed.signal, session.forsaken])
      const call = { name, version, value: { messages: batch.map(toEnvelope) } }
      v.parse(receiptSchema, await session.request(call, { signal }))
      this.#components.outbox.remove(ids)
      this.#toUpdate.delete(peer)
      return 'delivered'
    } catch (error) {
      if (this.#closed.signal.aborted) return 'not-now'
      const room = roomIn(error)
      return room === null ? this.#failed(peer, ids, error) : this.#hold(peer, ids, room)
    } finally {
      for (const id of ids) this.#underWay.delete(id)
    }
  }

  /** Notes that the device has no room for these messages, and returns the wait, in milliseconds. */
  #hold(peer: PeerId, ids: readonly string[], room: Amount): number {
    const { listener, log } = this.#components
    const { pauseMs, isNews } = this.#held.refused(peer, ids.length, room)
    if (isNews) {
      log('warn', 'messages.held', { peer, waitsFor: 'inbox-full' })
      listener.messagesHeld(peer)
    }
    if (pauseMs > 0) for (const id of ids) this.#receipts.get(id)?.arrived.resolve('queued')
    return pauseMs
  }

  /** Notes why a delivery failed, and returns the wait until the next try, in milliseconds; `not-now`: on another session. */
  #failed(peer: PeerId, ids: readonly string[], error: unknown): number | 'not-now' {
    const { listener, log } = this.#components
    listener.messagesRetried()
    // The error's message may be the other device's, and that may quote the messages.
    const code = error instanceof SpacedockError ? error.code : 'internal'
    log('warn', 'message.not-delivered', { peer, id: ids[0], count: ids.length, code })
    if (error instanceof UnknownProtocolError) {
      // A program that is updated is started anew, and then there is another session.
      const side = sideToUpdate(error.versions, [messagesVersion])
      this.#toUpdate.set(peer, side === 'here' ? 'update-here' : 'update-there')
      return 'not-now'
    }
    // A broken session has a successor sooner or later; a device that cannot store now may be able to later.
    return code === 'interrupted' ? brokenSessionMs : retryMs
  }

  #waitsFor(message: MessageRecord): QueuedMessage['waitsFor'] {
    const session = this.#components.sessions.sessionOf(message.peerId)
    if (session === undefined) return 'device'
    const update = this.#toUpdate.get(message.peerId)
    if (update !== undefined) return update
    if (this.#components.copies.has(message.peerId)) return 'one-copy'
    if (this.#held.isFull(message.peerId)) return 'inbox-full'
    const { budget } = session
    return budget !== null && writtenBytesOf(message) > budget.messageBytes ? 'better-path' : null
  }
}

function noReceipt(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not say in time that it has the message.')
}

function lifetime(expiresInMs: number | undefined): Pick<NewMessage, 'expiresInMs'> {
  if (expiresInMs === undefined) return {}
  if (expiresInMs === Number.POSITIVE_INFINITY) return { expiresInMs: null }
  if (expiresInMs > 0) return { expiresInMs }
  throw new SpacedockError('invalid-argument', 'A message needs a time to live of more than 0 ms.', {
    hint: 'Give expiresInMs in milliseconds, or Infinity.',
  })
}
