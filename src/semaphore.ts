import { addAbortListener } from 'node:events'
import { abortReason } from './abort.ts'
import { SpacedockError } from './errors.ts'

export interface AcquireOptions {
  /** Whose places: each key has its own. */
  key?: string
  /** Gives up waiting. */
  signal?: AbortSignal | undefined
}

interface Places {
  free: number
  /** Hands a place to each that waits, the first first. */
  readonly waiting: Set<() => void>
}

/** Counting semaphore: so many may work at once, the others wait in the order in which they came. With one place, a mutex. */
export class Semaphore {
  readonly #places: number
  /** Places by key, while one is taken. */
  readonly #byKey = new Map<string, Places>()
  #waiting = 0

  constructor(places: number) {
    this.#places = places
  }

  /** Whether every place is free. */
  get isIdle(): boolean {
    return this.#byKey.size === 0
  }

  /** Runs work when there is a place for it, and settles as the work does. Rejects as `acquire` does. */
  async run<Result>(work: () => Promise<Result>, options: AcquireOptions = {}): Promise<Result> {
    using _place = await this.acquire(options)
    return await work()
  }

  /** Resolves with a place, to be disposed of once. Rejects with the signal's reason, or `too-large` when too many wait. */
  async acquire({ key = '', signal }: AcquireOptions = {}): Promise<Disposable> {
    signal?.throwIfAborted()
    const places = this.#byKey.get(key) ?? { free: this.#places, waiting: new Set() }
    this.#byKey.set(key, places)
    if (places.free > 0) places.free--
    else await this.#wait(places, signal)
    return { [Symbol.dispose]: () => this.#release(key, places) }
  }

  #wait(places: Places, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting >= maxWaiting) {
      throw new SpacedockError('too-large', `More than ${maxWaiting} wait for the same thing.`, {
        hint: 'Wait for some of them before you ask for more.',
      })
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting--
        places.waiting.delete(proceed)
        listening?.[Symbol.dispose]()
      }
      const proceed = (): void => {
        leave()
        resolve()
      }
      this.#waiting++
      places.waiting.add(proceed)
      const listening =
        signal &&
        addAbortListener(signal, () => {
          leave()
          reject(abortReason(signal))
        })
    })
  }

  #release(key: string, places: Places): void {
    const [proceed] = places.waiting
    if (proceed !== undefined) return proceed()
    places.free++
    if (places.free === this.#places) this.#byKey.delete(key)
  }
}

/** Limit of those that wait at one semaphore. */
const maxWaiting = 8_192
