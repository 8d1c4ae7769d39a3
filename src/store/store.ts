import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { systemClock } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { openContacts, type Contacts } from './contacts.ts'
import { prepareDataDirectory } from './data-directory.ts'
import { databaseFileName, openDatabase, type Database } from './database.ts'
import type { DeviceRegistry } from './device-registry.ts'
import { StoredRegistry } from './stored-registry.ts'
import { loadOrCreateIdentity, memoryIdentity, type Identity } from './identity.ts'
import { openInbox, type Inbox, type InboxLimits } from './inbox.ts'
import { openPersistentClock, type PersistentClock, type StoreClock } from './persistent-clock.ts'
import { MarkFiles } from './marks.ts'
import { Place, type PutBack } from './place.ts'
import { acquireLock } from './lock.ts'
import { openOutbox, type Outbox, type OutboxLimits } from './outbox.ts'
import { openPresenceStates, type PresenceStates } from './presence-states.ts'
import { openReserve, type Reserve } from './reserve.ts'
import { openSettings, type Settings } from './settings.ts'
import { nameDamaged } from './storage-error.ts'
import { checkTrust, openTrust, type Trust } from './trust.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Everything one device keeps. Calls are synchronous; what they wrote is durable when they return. */
export interface Store {
  readonly identity: { readonly seed: Uint8Array; readonly peerId: PeerId }
  readonly trust: Trust
  readonly registry: DeviceRegistry
  readonly outbox: Outbox
  readonly inbox: Inbox
  readonly settings: Settings
  readonly contacts: Contacts
  readonly presence: PresenceStates
  /** Time by which things end after days, whatever becomes of the wall clock. */
  readonly lastingClock: PersistentClock
  /** Whether its directory is a copy, as far as that can be told. */
  readonly putBack: PutBack | null
  /** May be called more than once. Afterwards everything that touches the database fails with `closed`. */
  close(): void
}

export interface StoreOptions {
  dataDir: string
  /** Source of time. @default the system's */
  clock?: StoreClock
  inbox?: InboxLimits
  outbox?: OutboxLimits
}

/**
 * Opens the store in the data directory, made when there is none, for this process alone.
 *
 * Errors: `directory-unusable`, `already-running`, `identity-damaged`, `database-damaged`, `database-newer`, `disk-full`.
 */
export function openStore({ dataDir, clock = systemClock, inbox, outbox }: StoreOptions): Store {
  const directory = prepareDataDirectory(dataDir)
  const lock = acquireLock(directory)
  try {
    const identity = loadOrCreateIdentity(directory)
    const mayCreate = identity.registryGeneration === 0
    const database = openDatabase(join(directory, databaseFileName), {
      mayCreate,
      beforeUpgrade: (earlier) => void checkTrust(earlier, identity),
    })
    const reserve = openReserve(directory)
    const path = join(directory, databaseFileName)
    return storeOn({ database, path, identity, clock, inbox, outbox, reserve }, () => lock.release())
  } catch (error) {
    lock.release()
    throw nameDamaged(error, directory)
  }
}

export interface MemoryStoreOptions {
  /** The identity's 32 bytes. @default random */
  seed?: Uint8Array
  /** Source of time. @default the system's */
  clock?: StoreClock
  inbox?: InboxLimits
}

/** A store that ends with the process: the same code over a database in memory, for the tests of applications. */
export function openMemoryStore({
  seed = new Uint8Array(randomBytes(32)),
  clock = systemClock,
  inbox,
}: MemoryStoreOptions = {}): Store {
  if (seed.length !== 32)
    throw new SpacedockError('invalid-argument', 'The seed of an identity has 32 bytes.')
  const database = openDatabase(':memory:', { mayCreate: true })
  return storeOn({ database, identity: memoryIdentity(seed), clock, inbox }, () => undefined)
}

export interface StoreParts {
  database: Database
  identity: Identity
  clock: StoreClock
  inbox?: InboxLimits | undefined
  outbox?: OutboxLimits | undefined
  reserve?: Reserve | undefined
  /** File of the database; undefined when it has none. */
  path?: string | undefined
}

/** Time for which the identity file may be behind a registry to which a device was added: that of a pairing, and some. */
const putOffMs = 1_000

/** Builds what all stores have in common, whatever their database is on. `release` is called when it is closed. */
export function storeOn(parts: StoreParts, release: () => void): Store {
  const { database, identity, clock } = parts
  let openedClock: PersistentClock | undefined
  try {
    let isClosed = false
    const keepTime = (): void => {
      try {
        lastingClock.keep()
      } catch {
        // The disk is full: then the wall clock tells at the next start how long it was.
      }
    }
    const lastingClock = openPersistentClock(database, clock)
    openedClock = lastingClock
    const { path } = parts
    const { after } = clock
    const later =
      path === undefined || after === undefined
        ? undefined
        : (work: () => void) => after.call(clock, putOffMs, work)
    const trust = openTrust({ database, identity, clock, reserve: parts.reserve, later })
    const contacts = openContacts(database)
    const presence = openPresenceStates(database)
    const outbox = openOutbox(database, lastingClock, parts.outbox)
    const place =
      path === undefined
        ? undefined
        : new Place({ database, path, marks: new MarkFiles(dirname(path)), clock, lastingClock })
    return {
      identity,
      trust,
      contacts,
      presence,
      outbox,
      lastingClock,
      putBack: place?.putBack ?? null,
      registry: new StoredRegistry({ trust, contacts, presence, outbox, clock }),
      inbox: openInbox(database, lastingClock, parts.inbox),
      settings: openSettings(database),
      close() {
        if (isClosed) return
        isClosed = true
        try {
          lastingClock.close()
          keepTime()
          trust.settle()
          place?.moveOn()
          database.close()
        } finally {
          release()
        }
      },
    }
  } catch (error) {
    openedClock?.close()
    database.close()
    throw error
  }
}
