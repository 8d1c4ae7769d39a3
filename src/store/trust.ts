import * as v from 'valibot'
import type { Clock } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { provisionalLifetimeMs } from '../pairing/limits.ts'
import type { Database } from './database.ts'
import { availableName } from './name-choice.ts'
import type { Identity } from './identity.ts'
import { tombstoneOf } from './tombstone.ts'
import { noReserve, type Reserve } from './reserve.ts'
import { notWrittenDown, UnwrittenRevocations } from './unwritten-revocations.ts'
import { databaseDamaged, isDiskFailure } from './storage-error.ts'
import { onlyAdds } from './trust-change.ts'
import { compareRows, copyOf, slotOf, trustRecordSchema, trustSealer } from './trust-record.ts'
import type { TrustRecord, TrustSlot } from './trust-record.ts'
import { loadTrust, trustRows } from './trust-rows.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/**
 * Registry of trusted devices. Every change is atomic and durable when the call returns; `disk-full` and the like mean that
 * nothing changed (save when the very last step, renaming the identity file, fails: then the change stands).
 */
export interface Trust {
  /** The settled record: active, needs-pairing or revoked. */
  get(peerId: PeerId): TrustRecord | undefined
  /** State of the settled record: what is asked at every call of a device and by it. */
  stateOf(peerId: PeerId): TrustRecord['state'] | undefined
  /** The unfinished pairing: pending or confirming. */
  provisional(peerId: PeerId): TrustRecord | undefined
  /** Settled records. */
  list(): TrustRecord[]
  /** Provisional records. */
  provisionals(): TrustRecord[]
  /**
   * Writes the record into the slot of its state. Over a tombstone, `active` and `needs-pairing` are refused with
   * `not-paired`: only `activate` ends a revocation. `revoked` takes the provisional record away too.
   */
  put(record: TrustRecord): void
  /**
   * Makes the provisional record the active one, in place of whatever was settled, and returns it. A device that was
   * trusted before keeps its name here; any other gets the first free one ("laptop (2)"). Without a provisional record
   * an active one is returned as it is, and otherwise the error is `not-paired`.
   */
  activate(peerId: PeerId): TrustRecord
  /**
   * Leaves a tombstone in place of both records, without keys but with what has to be said to the device should it come
   * back. `alongside` runs in the same transaction.
   * Errors: `no-device` when there is no record; `disk-full` and the like when it could not be written: then it counts all the same,
   * for as long as this process runs, and is written with the next change that can be.
   */
  revoke(peerId: PeerId, alongside?: () => void): void
  /** Names of devices that are revoked, although it could not be written down yet. */
  unwritten(): string[]
  /** Writes those down. Throws when that does not work yet. */
  writeUnwritten(): void
  /** Ends an unfinished pairing and leaves what is settled. Returns whether there was one. */
  dropProvisional(peerId: PeerId): boolean
  /** Forgets both records, a tombstone too; what waits in the outbox is the caller's. Returns whether there was one. */
  remove(peerId: PeerId): boolean
  /** Drops the provisional records that are 7 days old, and returns whose they were. */
  expireProvisional(nowMs: number): PeerId[]
  /** Calls the listener after every change of a peer's records; the function returned stops it. */
  onChange(listener: (peerId: PeerId) => void): () => void
  /** Raises what the identity file counts, where that was put off. Called before the store is closed. */
  settle(): void
}

/** Storage reads the time of day only, for what people read and for the seven days. */
export type WallClock = Pick<Clock, 'wall'>

export interface TrustParts {
  database: Database
  identity: Identity
  clock: WallClock
  /** Space for what ends trust. @default none */
  reserve?: Reserve | undefined
  /** Calls back a moment later, once what a pairing does is done; the function returned stops that. Without it nothing is put off. */
  later?: ((work: () => void) => () => void) | undefined
}

/** Error: `database-damaged`, also for a registry that is older than the identity file says (a rollback). */
export function checkTrust(database: Database, identity: Identity): ReturnType<typeof loadTrust> {
  const loaded = loadTrust(database, trustSealer(identity.seed))
  if (loaded.generation < identity.registryGeneration) {
    throw databaseDamaged('it is an older copy, from before the last change to the devices')
  }
  return loaded
}

/** Opens the registry. Errors: those of `checkTrust`. */
// oxlint-disable-next-line max-lines-per-function -- an object of closures: they are short, and share what it keeps
export function openTrust({ database, identity, clock, reserve = noReserve, later }: TrustParts): Trust {
  const loaded = checkTrust(database, identity)
  const rows = trustRows(database, trustSealer(identity.seed))
  let { generation } = loaded
  const nowMs = (): number => Math.trunc(clock.wall())
  const records: Record<TrustSlot, Map<PeerId, TrustRecord>> = { provisional: new Map(), settled: new Map() }
  for (const record of loaded.records) records[slotOf(record.state)].set(record.peerId, record)
  const listeners = new Set<(peerId: PeerId) => void>()
  const unwritten = new UnwrittenRevocations()
  let cancelLater: (() => void) | null = null

  // The first registry, or a process that died between the database and the identity file.
  if (generation === 0) commit([], [])
  else catchUp()

  /** Raises what the identity file counts to this registry, as after a process that died between the two. */
  function catchUp(): void {
    if (identity.registryGeneration < generation) identity.stageGeneration(generation).publish()
  }

  function commit(
    newWrites: TrustRecord[],
    newDeletes: { peerId: PeerId; slot: TrustSlot }[],
    alongside?: () => void,
  ): void {
    const owed = unwritten.besides(
      [...newWrites, ...newDeletes].filter(isSettled).map(({ peerId }) => peerId),
    )
    const writes = [...owed, ...newWrites]
    const deletes = [...owed.map(({ peerId }) => ({ peerId, slot: 'provisional' as const })), ...newDeletes]
    const next = { provisional: new Map(records.provisional), settled: new Map(records.settled) }
    for (const { peerId, slot } of deletes) next[slot].delete(peerId)
    for (const record of writes) next[slotOf(record.state)].set(record.peerId, record)
    const isPutOff = later !== undefined && generation > 0 && onlyAdds(records, writes, deletes)
    const staged = isPutOff ? null : identity.stageGeneration(generation + 1)
    try {
      database.transaction(() => {
        for (const { peerId, slot } of deletes) rows.delete(peerId, slot)
        for (const record of writes) rows.write(record)
        rows.seal(generation + 1, [...next.provisional.values(), ...next.settled.values()])
        unwritten.settle()
        alongside?.()
      })
    } catch (error) {
      staged?.discard()
      throw error
    }
    cancelLater?.()
    if (isPutOff) cancelLater = later(tryToCatchUp)
    unwritten.clear()
    generation += 1
    records.provisional = next.provisional
    records.settled = next.settled
    try {
      staged?.publish()
    } finally {
      announce([...deletes, ...writes].map(({ peerId }) => peerId))
    }
  }

  function tryToCatchUp(): void {
    try {
      catchUp()
    } catch {
      // The disk is full: the next change or the next start raises it.
    }
  }

  function announce(peerIds: readonly PeerId[]): void {
    for (const peerId of new Set(peerIds)) for (const listener of listeners) listener(peerId)
  }

  /** Writes a tombstone, into the space that is kept for it if need be; at worst it is kept in memory for now. */
  function bury(tombstone: TrustRecord, alongside: () => void = () => {}): void {
    const { peerId, name } = tombstone
    const isWritten = (): boolean => records.settled.get(peerId) === tombstone
    try {
      write(tombstone, alongside)
    } catch (error) {
      if (!isDiskFailure(error) || isWritten()) throw error
      if (error.code === 'disk-full' && buryInReserve(tombstone, alongside)) return
      unwritten.add(tombstone, alongside)
      records.settled.set(peerId, tombstone)
      records.provisional.delete(peerId)
      announce([peerId])
      throw notWrittenDown(name, error)
    }
  }

  /** Writes a tombstone alone: what goes with it may need far more space, and goes later. Returns whether there was space. */
  function buryInReserve(tombstone: TrustRecord, alongside: () => void): boolean {
    const isWritten = (): boolean => records.settled.get(tombstone.peerId) === tombstone
    reserve.release()
    try {
      write(tombstone)
      database.transaction(alongside)
    } catch {
      // Without it, messages for the device would go out if it were paired again.
      if (isWritten()) unwritten.addRest(alongside)
    } finally {
      reserve.refill()
    }
    return isWritten()
  }

  function write(record: TrustRecord, alongside?: () => void): void {
    const { peerId, state } = record
    commit([record], state === 'revoked' ? [{ peerId, slot: 'provisional' }] : [], alongside)
  }

  const listOf = (slot: TrustSlot): TrustRecord[] =>
    [...records[slot].values()].toSorted(compareRows).map(copyOf)
  const lookUp = (slot: TrustSlot, peerId: PeerId): TrustRecord | undefined => {
    const record = records[slot].get(peerId)
    return record && copyOf(record)
  }

  return {
    get: (peerId) => lookUp('settled', peerId),
    stateOf: (peerId) => records.settled.get(peerId)?.state,
    provisional: (peerId) => lookUp('provisional', peerId),
    list: () => listOf('settled'),
    provisionals: () => listOf('provisional'),
    put(record) {
      const pairedAtMs = Math.trunc(record.pairedAtMs)
      const changedAtMs = Math.trunc(record.changedAtMs)
      const parsed = v.safeParse(trustRecordSchema, { ...record, pairedAtMs, changedAtMs })
      if (!parsed.success)
        throw new SpacedockError('invalid-argument', 'This is not a complete record of a device.')
      const { state, peerId } = parsed.output
      const overTombstone = records.settled.get(peerId)?.state === 'revoked' && state !== 'revoked'
      if (overTombstone && slotOf(state) === 'settled') throw notPaired(peerId)
      write(copyOf(parsed.output))
    },
    activate(peerId) {
      const provisional = records.provisional.get(peerId)
      const settled = records.settled.get(peerId)
      if (provisional === undefined) {
        if (settled?.state !== 'active') throw notPaired(peerId)
        return copyOf(settled)
      }
      const trusted = [...records.settled.values()].filter(({ state }) => state !== 'revoked')
      const taken = trusted.filter((other) => other.peerId !== peerId).map(({ name }) => name)
      const known = trusted.find((other) => other.peerId === peerId)
      const name = known?.name ?? availableName(provisional.name, taken)
      const active: TrustRecord = { ...provisional, name, state: 'active', changedAtMs: nowMs() }
      commit([active], [{ peerId, slot: 'provisional' }])
      return copyOf(active)
    },
    revoke(peerId, alongside) {
      const own = [records.provisional.get(peerId), records.settled.get(peerId)]
      const known = own[1] ?? own[0]
      if (known === undefined) {
        throw new SpacedockError('no-device', `No device with the peer id ${peerId} is known.`)
      }
      bury(tombstoneOf(known, own, { localPeer: identity.peerId, nowMs: nowMs() }), alongside)
      try {
        database.forgetDeleted()
      } catch {
        // The revocation stands; old rows in the log are overwritten by later changes or at the next close.
      }
    },
    unwritten: () => unwritten.tombstones().map(({ name }) => name),
    writeUnwritten() {
      if (unwritten.isOwed) commit([], [])
    },
    dropProvisional(peerId) {
      if (!records.provisional.has(peerId)) return false
      commit([], [{ peerId, slot: 'provisional' }])
      return true
    },
    remove(peerId) {
      if (!records.provisional.has(peerId) && !records.settled.has(peerId)) return false
      commit(
        [],
        [
          { peerId, slot: 'provisional' },
          { peerId, slot: 'settled' },
        ],
      )
      return true
    },
    expireProvisional(atMs) {
      const old = [...records.provisional.values()].filter(
        (record) => atMs - record.changedAtMs >= provisionalLifetimeMs,
      )
      const peerIds = old.map(({ peerId }) => peerId)
      if (peerIds.length > 0) {
        commit(
          [],
          peerIds.map((peerId) => ({ peerId, slot: 'provisional' })),
        )
      }
      return peerIds
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    settle() {
      cancelLater?.()
      tryToCatchUp()
    },
  }
}

function isSettled(row: { state: TrustRecord['state'] } | { slot: TrustSlot }): boolean {
  return ('state' in row ? slotOf(row.state) : row.slot) === 'settled'
}

function notPaired(peerId: PeerId): SpacedockError {
  return new SpacedockError('not-paired', `The device ${peerId} is not trusted.`, {
    hint: 'Pair the two devices again.',
  })
}
