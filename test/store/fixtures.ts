import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { TestContext } from 'node:test'
import type { DeviceInfo } from '../../src/api.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { SpacedockError, type ErrorCode } from '../../src/errors.ts'
import type { Acceptance, Inbox } from '../../src/store/inbox.ts'
import type { NewMessage, Outbox } from '../../src/store/outbox.ts'
import type { MessageRecord, StoredMessage } from '../../src/store/stored-message.ts'
import { memoryIdentity } from '../../src/store/identity.ts'
import type { TrustRecord } from '../../src/store/trust-record.ts'

/** A private directory that goes away with the test. */
export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-store-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A copy of a directory whose store is closed. */
export function copyOfDirectory(context: TestContext, directory: string): string {
  const copy = temporaryDirectory(context)
  cpSync(directory, copy, { recursive: true })
  return copy
}

export function peerIdOf(number: number): PeerId {
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(0, number)
  return memoryIdentity(seed).peerId
}

export const alice = peerIdOf(1)
export const bob = peerIdOf(2)
export const carol = peerIdOf(3)

/** A device of which nothing but its name is known. */
export function deviceInfo(known: Partial<DeviceInfo> = {}): DeviceInfo {
  return {
    id: 'abcdefghijklmnop',
    name: 'alice',
    peerId: alice,
    state: 'disconnected',
    needsPairing: null,
    path: null,
    limited: false,
    address: null,
    lastSeen: null,
    roundTripMs: null,
    connectedSince: null,
    lastFailure: null,
    ...known,
  }
}

export function activeRecord(peerId: PeerId, name: string): TrustRecord {
  return {
    peerId,
    name,
    state: 'active',
    pairKey: new Uint8Array(32).fill(7),
    acknowledgement: null,
    pairedAtMs: 1_000,
    changedAtMs: 2_000,
  }
}

export function pendingRecord(peerId: PeerId, name: string): TrustRecord {
  return {
    ...activeRecord(peerId, name),
    state: 'pending',
    pairKey: new Uint8Array(32).fill(8),
    acknowledgement: new Uint8Array(32).fill(9),
  }
}

/** One message alone. */
export function accept(inbox: Inbox, message: MessageRecord): Acceptance {
  const [acceptance] = acceptAll(inbox, [message])
  assert.ok(acceptance !== undefined)
  return acceptance
}

/** Messages of one sender that fit. */
export function acceptAll(inbox: Inbox, messages: readonly MessageRecord[]): Acceptance[] {
  const acceptances = inbox.accept(messages)
  assert.ok(Array.isArray(acceptances))
  return acceptances
}

/** One message alone; throws why it is not kept. */
export function queue(outbox: Outbox, message: NewMessage): StoredMessage {
  const [stored] = outbox.add([message])
  assert.ok(stored !== undefined)
  if (stored instanceof SpacedockError) throw stored
  return stored
}

/** Runs SQL on a closed store's database as somebody else would. */
export function withDatabase<Result>(path: string, work: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(path)
  try {
    return work(database)
  } finally {
    database.close()
  }
}

export function execute(path: string, sql: string, ...values: SQLInputValue[]): void {
  withDatabase(path, (database) => database.prepare(sql).run(...values))
}

/** Asserts that it throws our error with this code, a sentence and, where there is something to do, a hint. */
export function assertFails(work: () => unknown, code: ErrorCode, message?: RegExp): SpacedockError {
  let thrown: unknown
  try {
    work()
  } catch (error) {
    thrown = error
  }
  assert.ok(thrown instanceof SpacedockError, `expected ${code}, got ${String(thrown)}`)
  assert.equal(thrown.code, code, thrown.message)
  if (message !== undefined) assert.match(`${thrown.message} ${thrown.hint ?? ''}`, message)
  return thrown
}
