import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Device, Log, Publication } from '../api.ts'

export interface SubscriptionOptions<Value> {
  topic: string
  schema: StandardSchemaV1<unknown, Value> | undefined
  maxBuffered: number
  log: Log
  onEnded: () => void
}

/** One reader of one topic. A reader that is too slow loses the oldest, and is told how many. */
export class Subscription<Value> implements AsyncIterableIterator<Publication<Value>, undefined, undefined> {
  readonly #options: SubscriptionOptions<Value>
  readonly #buffered: { value: Value; device: Device }[] = []
  readonly #readers: ((result: IteratorResult<Publication<Value>, undefined>) => void)[] = []
  #missed = 0
  #isEnded = false

  constructor(options: SubscriptionOptions<Value>) {
    this.#options = options
  }

  /** Never rejects. */
  async deliver(value: unknown, device: Device): Promise<void> {
    const { topic, schema, maxBuffered, log } = this.#options
    const checked = await validate(schema, value)
    // The check of a value may take a while, and its device be revoked meanwhile.
    if (this.#isEnded || device.state === 'revoked') return
    if (checked === null) {
      log('warn', 'publication.not-valid', { topic, peer: device.peerId })
      return
    }
    this.#buffered.push({ value: checked.value, device })
    if (this.#buffered.length > maxBuffered) {
      this.#buffered.shift()
      this.#missed++
    }
    const reader = this.#readers.shift()
    if (reader !== undefined) reader(this.#take())
  }

  next(): Promise<IteratorResult<Publication<Value>, undefined>> {
    if (this.#buffered.length > 0 || this.#isEnded) return Promise.resolve(this.#take())
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  async return(): Promise<IteratorResult<Publication<Value>, undefined>> {
    this.end()
    return { done: true, value: undefined }
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#buffered.length = 0
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined })
    this.#options.onEnded()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #take(): IteratorResult<Publication<Value>, undefined> {
    const first = this.#buffered.shift()
    if (first === undefined) return { done: true, value: undefined }
    const missed = this.#missed
    this.#missed = 0
    return { done: false, value: { topic: this.#options.topic, ...first, missed } }
  }
}

async function validate<Value>(
  schema: StandardSchemaV1<unknown, Value> | undefined,
  value: unknown,
): Promise<{ value: Value } | null> {
  // Without a schema the type is unknown.
  if (schema === undefined) return { value: value as Value }
  try {
    const result = await schema['~standard'].validate(value)
    return result.issues === undefined ? { value: result.value } : null
  } catch {
    return null
  }
}
