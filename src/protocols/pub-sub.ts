import { addAbortListener } from 'node:events'
import * as v from 'valibot'
import type { Clock, Device, EventProtocol, Log, Protocol, Publication, SubscribeOptions } from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { UnknownProtocolError } from '../protocol-error.ts'
import { encodeJson } from '../network/json-text.ts'
import { maxSingleFrameTextBytes } from '../network/session/request-header.ts'
import type { Sessions } from '../network/session/session.ts'
import { OneAtATime } from './one-at-a-time.ts'
import { Subscription } from './subscription.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerOf } from '../libp2p-peer.ts'

/** Devices as far as publications need them. */
export interface PubSubDevices {
  /** Returns the trusted devices. */
  paired(): readonly Device[]
}

export interface PubSubParts {
  devices: PubSubDevices
  sessions: Sessions
  clock: Clock
  log: Log
}

const maxTopics = 256
const maxTopicBytes = 128
const maxSubscriptions = 1_024
const defaultBuffered = 256
const maxBufferedEver = 10_000
/** Wait after a device could not be told what this one subscribes to. */
const retryMs = 5_000

const topicSchema = v.pipe(
  v.string(),
  v.check((topic) => isTopic(topic), 'it is not a topic'),
)
const topicsSchema = v.object({
  topics: v.pipe(v.array(v.unknown()), v.maxLength(maxTopics), v.array(topicSchema)),
})
const toldSchema = v.object({ told: v.literal(true) })
const publicationSchema = v.object({ topic: topicSchema, value: v.optional(v.unknown()) })

type Topics = v.InferOutput<typeof topicsSchema>
type Told = v.InferOutput<typeof toldSchema>
type Published = v.InferOutput<typeof publicationSchema>

/** A subscription with values of any type. */
type Reader = Pick<Subscription<unknown>, 'deliver' | 'end'>

/**
 * Publications between a person's own devices. Each side tells the other all topics that it subscribes to, at the start of
 * every session and after every change; a publication is an event, sent to those who said that they want it.
 */
export class PubSub {
  readonly #parts: PubSubParts
  readonly #subscriptions = new Map<string, Set<Reader>>()
  #subscriptionCount = 0
  /** Topics that the connected devices subscribe to. */
  readonly #wanted = new Map<PeerId, ReadonlySet<string>>()
  /** Announcements of topics, one after the other for each device, so that the last one told is the last one heard. */
  readonly #telling = new OneAtATime((peer) => this.#tell(peer))
  readonly #closed = new AbortController()

  constructor(parts: PubSubParts) {
    this.#parts = parts
  }

  get topics(): Protocol<Topics, Told> {
    return {
      name: 'spacedock-topics',
      version: 1,
      request: topicsSchema,
      response: toldSchema,
      handler: ({ topics }, { device }) => {
        this.#wanted.set(peerOf(device), new Set(topics))
        return { told: true }
      },
    }
  }

  get publications(): EventProtocol<Published> {
    return {
      kind: 'event',
      name: 'spacedock-publish',
      version: 1,
      event: publicationSchema,
      handler: async ({ topic, value }, { device }) => {
        const subscriptions = this.#subscriptions.get(topic) ?? []
        await Promise.all([...subscriptions].map((subscription) => subscription.deliver(value, device)))
      },
    }
  }

  /** Announces the topics in a new session, since the other side may have been restarted. */
  connected(peer: PeerId): void {
    this.#telling.want(peer)
  }

  disconnected(peer: PeerId): void {
    this.#wanted.delete(peer)
  }

  /** Returns the devices that it was handed to. Throws `invalid-argument`, `invalid-message` or `too-large`. */
  publish(topic: string, value: unknown): Device[] {
    requireTopic(topic)
    const { devices, sessions, log } = this.#parts
    const { name, version } = this.publications
    const published: Published = { topic, value }
    if (encodeJson(published).byteLength > maxSingleFrameTextBytes) {
      throw new SpacedockError(
        'too-large',
        `The publication is larger than ${maxSingleFrameTextBytes} bytes.`,
      )
    }
    const reached: Device[] = []
    for (const device of devices.paired()) {
      const peer = peerOf(device)
      if (this.#wanted.get(peer)?.has(topic) !== true) continue
      const session = sessions.sessionOf(peer)
      if (session === undefined) continue
      try {
        session
          .emit({ name, version, value: published })
          .catch((error: unknown) => log('debug', 'publication.lost', { peer, error: String(error) }))
        reached.push(device)
      } catch (error) {
        log('debug', 'publication.not-taken', { peer, error: String(error) })
      }
    }
    return reached
  }

  /** Throws `invalid-argument` or `too-large`. */
  subscribe<Value>(
    topic: string,
    { schema, signal, maxBuffered = defaultBuffered }: SubscribeOptions<Value>,
  ): AsyncIterableIterator<Publication<Value>, undefined, undefined> {
    requireTopic(topic)
    if (!Number.isInteger(maxBuffered) || maxBuffered < 1 || maxBuffered > maxBufferedEver) {
      throw new SpacedockError('invalid-argument', `The number ${maxBuffered} does not fit maxBuffered.`, {
        hint: `Use a whole number from 1 to ${maxBufferedEver}.`,
      })
    }
    const known = this.#subscriptions.get(topic)
    if (
      this.#subscriptionCount >= maxSubscriptions ||
      (known === undefined && this.#subscriptions.size >= maxTopics)
    ) {
      throw new SpacedockError('too-large', 'This device has too many subscriptions.', {
        hint: `At most ${maxTopics} topics and ${maxSubscriptions} subscriptions are possible at once: end some.`,
      })
    }
    const all = known ?? new Set<Reader>()
    let listening: Disposable | undefined
    const onEnded = (): void => {
      listening?.[Symbol.dispose]()
      this.#subscriptionCount--
      all.delete(subscription)
      if (all.size > 0 || this.#subscriptions.get(topic) !== all) return
      this.#subscriptions.delete(topic)
      this.#changed()
    }
    const { log } = this.#parts
    const subscription = new Subscription<Value>({ topic, schema, maxBuffered, log, onEnded })
    this.#subscriptionCount++
    all.add(subscription)
    this.#subscriptions.set(topic, all)
    if (known === undefined) this.#changed()
    if (signal?.aborted === true || this.#closed.signal.aborted) subscription.end()
    else if (signal !== undefined) listening = addAbortListener(signal, () => subscription.end())
    return subscription
  }

  close(): void {
    this.#closed.abort()
    // A Map and a Set may lose entries while they are gone through.
    for (const all of this.#subscriptions.values()) {
      for (const subscription of all) subscription.end()
    }
  }

  #changed(): void {
    for (const device of this.#parts.devices.paired()) this.#telling.want(peerOf(device))
  }

  /** Never rejects. */
  async #tell(peer: PeerId): Promise<'done' | 'again'> {
    const { sessions, clock, log } = this.#parts
    const { name, version } = this.topics
    const { signal } = this.#closed
    const session = sessions.sessionOf(peer)
    if (session === undefined || signal.aborted) return 'done'
    try {
      const topics = { topics: [...this.#subscriptions.keys()] }
      const given = AbortSignal.any([signal, session.forsaken])
      await session.request({ name, version, value: topics }, { signal: given })
      return 'done'
    } catch (error) {
      if (signal.aborted) return 'done'
      log('debug', 'topics.not-told', {
        peer,
        code: error instanceof SpacedockError ? error.code : 'internal',
      })
      // A broken session has a successor sooner or later, which is told anew; so has one with a program that knows no topics.
      if (sessions.sessionOf(peer) !== session || error instanceof UnknownProtocolError) return 'done'
      await pause(clock, retryMs, signal)
      return 'again'
    }
  }
}

function requireTopic(topic: string): void {
  if (isTopic(topic)) return
  throw new SpacedockError('invalid-argument', 'This is not a topic.', {
    hint: `Use 1 to ${maxTopicBytes} bytes of UTF-8 without control characters.`,
  })
}

function isTopic(topic: string): boolean {
  if (typeof topic !== 'string' || topic.length === 0 || topic.length > maxTopicBytes) return false
  return Buffer.byteLength(topic) <= maxTopicBytes && topic.isWellFormed() && !/\p{Cc}/u.test(topic)
}
