import * as v from 'valibot'
import type { Database } from './database.ts'
import { epochMilliseconds, peerIdColumn } from './columns.ts'
import { databaseDamaged } from './storage-error.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Place and time at which a paired device was last reached. */
export interface Contact {
  /** Multiaddrs that worked, the newest first, at most 8. */
  addresses: string[]
  /** Milliseconds since the epoch. */
  lastSeenMs: number
}

export interface Contacts {
  get(peerId: PeerId): Contact | undefined
  /** Moves the address, if any, to the front. Survives kill -9 on return, and a power cut with the next change of anything else. */
  reached(peerId: PeerId, address: string | null, atMs: number): void
  remove(peerId: PeerId): void
}

const maximumAddresses = 8

const rowSchema = v.object({ peer_id: peerIdColumn, addresses: v.string(), last_seen_ms: epochMilliseconds })
const addressesSchema = v.pipe(v.string(), v.parseJson(), v.array(v.string()), v.maxLength(maximumAddresses))

/** Error: `database-damaged`. */
export function openContacts(database: Database): Contacts {
  const write = database.command('INSERT OR REPLACE INTO contacts VALUES (?, ?, ?)')
  const erase = database.command('DELETE FROM contacts WHERE peer_id = ?')
  const contacts = new Map<PeerId, Contact>()
  for (const row of database.query('SELECT * FROM contacts', rowSchema).all()) {
    const addresses = v.safeParse(addressesSchema, row.addresses)
    if (!addresses.success) throw databaseDamaged('the addresses of a device are not a list')
    contacts.set(row.peer_id, { addresses: addresses.output, lastSeenMs: row.last_seen_ms })
  }
  return {
    get(peerId) {
      const contact = contacts.get(peerId)
      return contact && { ...contact, addresses: [...contact.addresses] }
    },
    reached(peerId, address, atMs) {
      const known = contacts.get(peerId)?.addresses ?? []
      const all = address === null ? known : [address, ...known.filter((other) => other !== address)]
      const contact = { addresses: all.slice(0, maximumAddresses), lastSeenMs: Math.trunc(atMs) }
      // Memory first: on a full disk this start, at least, knows it.
      contacts.set(peerId, contact)
      database.unhurried(() => write.run(peerId, JSON.stringify(contact.addresses), contact.lastSeenMs))
    },
    remove(peerId) {
      erase.run(peerId)
      contacts.delete(peerId)
    },
  }
}
