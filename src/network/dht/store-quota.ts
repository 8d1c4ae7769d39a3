import type { Clock } from '../../api.ts'

export interface RecordLimits {
  /** Records kept in all; beyond, the address with the most loses its oldest. @default 20_000 */
  records?: number
  /** Different records that one peer may have here; beyond, it loses the one that it wrote longest ago. @default 32 */
  recordsPerPeer?: number
  /** Different records that all peers at one IP address may have here. @default 1_000 */
  recordsPerAddress?: number
  /** Writes of one peer in a minute. @default 60 */
  writesPerMinute?: number
  /** Lifetime of a record after it was written. @default 48 h */
  lifetimeMs?: number
}

/** Writer of a record. */
export interface Writer {
  peer: string
  /** IP address. */
  address: string
}

interface Entry extends Writer {
  atMs: number
}

/** Accounts for the records of each writer in the store, and decides whether it may write another. */
export class StoreQuota {
  readonly #clock: Clock
  readonly #limits: Required<RecordLimits>
  /** Entries, the one written longest ago first. */
  readonly #entries = new Map<string, Entry>()
  /** Keys of the records of each peer, the one written longest ago first. */
  readonly #keysOf = new Map<string, Set<string>>()
  readonly #perAddress = new Map<string, number>()
  /** Writes in the minute that began at `#minuteMs`. */
  #writes = new Map<string, number>()
  #minuteMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, limits: RecordLimits) {
    this.#clock = clock
    this.#limits = { ...usualRecordLimits, ...limits }
  }

  get size(): number {
    return this.#entries.size
  }

  /** Counts a record about to be written; throws when a quota forbids it. Returns the keys of records to evict for it. */
  admit(key: string, { peer, address }: Writer): string[] {
    const { recordsPerPeer, recordsPerAddress, writesPerMinute, records } = this.#limits
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#minuteMs >= 60_000) {
      this.#minuteMs = nowMs
      this.#writes = new Map()
    }
    if (peer !== 'self') {
      if (count(this.#writes, peer) >= writesPerMinute) throw new Error('too many writes in a minute')
      add(this.#writes, peer, 1)
    }
    const before = this.#entries.get(key)
    // A record counts for its first writer: repeats by others use up no quota.
    const owner = before ?? { peer, address }
    const dropped: string[] = []
    if (before === undefined && peer !== 'self') {
      const replaced = this.#oldestBeyond(recordsPerPeer, peer)
      const isFreed = replaced !== undefined && this.#entries.get(replaced)?.address === address
      if (count(this.#perAddress, address) - Number(isFreed) >= recordsPerAddress) {
        throw new Error('too many records of this address')
      }
      if (replaced !== undefined) dropped.push(replaced)
    }
    for (const each of [...dropped, key]) this.forget(each)
    this.#entries.set(key, { peer: owner.peer, address: owner.address, atMs: nowMs })
    this.#keysOf.set(owner.peer, (this.#keysOf.get(owner.peer) ?? new Set()).add(key))
    add(this.#perAddress, owner.address, 1)
    while (this.#entries.size > records) dropped.push(this.#dropOne())
    return dropped
  }

  forget(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    const keys = this.#keysOf.get(entry.peer)
    keys?.delete(key)
    if (keys?.size === 0) this.#keysOf.delete(entry.peer)
    add(this.#perAddress, entry.address, -1)
  }

  /** Forgets expired records, and returns their keys. */
  expire(): string[] {
    const expired: string[] = []
    const bornBy = this.#clock.monotonic() - this.#limits.lifetimeMs
    for (const [key, { atMs }] of this.#entries) {
      if (atMs > bornBy) break
      expired.push(key)
    }
    for (const key of expired) this.forget(key)
    return expired
  }

  /** A device goes on writing under new keys: what it wrote longest ago is of no use any more. */
  #oldestBeyond(most: number, peer: string): string | undefined {
    const keys = this.#keysOf.get(peer)
    return keys === undefined || keys.size < most ? undefined : keys.values().next().value
  }

  #dropOne(): string {
    let most = 0
    for (const records of this.#perAddress.values()) most = Math.max(most, records)
    for (const [key, { address }] of this.#entries) {
      if (count(this.#perAddress, address) < most) continue
      this.forget(key)
      return key
    }
    throw new RangeError('the quota has lost count')
  }
}

/** Limits that a server has without others. */
export const usualRecordLimits: Required<RecordLimits> = {
  records: 20_000,
  recordsPerPeer: 32,
  recordsPerAddress: 1_000,
  writesPerMinute: 60,
  lifetimeMs: 48 * 3_600_000,
}

function count(counts: Map<string, number>, key: string): number {
  return counts.get(key) ?? 0
}

function add(counts: Map<string, number>, key: string, difference: number): void {
  const sum = count(counts, key) + difference
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}
