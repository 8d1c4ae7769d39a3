import { base64urlnopad } from '@scure/base'
import * as v from 'valibot'
import type { PeerId } from '../pairing/peer-id.ts'
import type { OthersPresence, OwnPresence } from '../pairing/presence-chain.ts'
import type { Database } from './database.ts'
import { databaseDamaged } from './storage-error.ts'

/** Keys of the records of one pair of devices. */
export interface PresenceState {
  own: OwnPresence
  /** Null until the other device has told its own. */
  others: OthersPresence | null
  /** Whether it cannot tell them, or could not when the two were paired: then they follow from the key of the pairing. */
  fromPairing: boolean
}

/** Presence keys of every pair. What is replaced or removed is overwritten in the file: it would show where a device was. */
export interface PresenceStates {
  get(peerId: PeerId): PresenceState | undefined
  peers(): PeerId[]
  /** Durable on return. */
  set(peerId: PeerId, state: PresenceState): void
  remove(peerId: PeerId): void
  /** Overwrites what was replaced, in the write-ahead log, too. */
  forgetReplaced(): void
}

const prefix = 'presence:'

const bytesSchema = v.pipe(
  v.string(),
  v.transform((text) => base64urlnopad.decode(text)),
  v.check((bytes) => bytes.length === 32),
)
const epochSchema = v.pipe(v.number(), v.safeInteger())
const stateSchema = v.strictObject({
  own: v.strictObject({ epoch: epochSchema, key: bytesSchema, seed: bytesSchema }),
  others: v.nullable(v.strictObject({ epoch: epochSchema, key: bytesSchema, publicKey: bytesSchema })),
  fromPairing: v.boolean(),
})
const rowSchema = v.object({ name: v.string(), value: v.string() })

/** Error: `database-damaged`. */
export function openPresenceStates(database: Database): PresenceStates {
  const write = database.command('INSERT OR REPLACE INTO settings VALUES (?, ?)')
  const erase = database.command('DELETE FROM settings WHERE name = ?')
  const states = new Map<PeerId, PresenceState>()
  const rows = database.query(`SELECT * FROM settings WHERE name LIKE '${prefix}%'`, rowSchema).all()
  for (const { name, value } of rows) states.set(name.slice(prefix.length) as PeerId, parse(value))
  return {
    get: (peerId) => states.get(peerId),
    peers: () => [...states.keys()],
    set(peerId, state) {
      write.run(`${prefix}${peerId}`, JSON.stringify(encode(state)))
      states.set(peerId, state)
    },
    remove(peerId) {
      // Also when it is not there: what this ran in before may have been rolled back.
      erase.run(`${prefix}${peerId}`)
      states.delete(peerId)
    },
    forgetReplaced: () => database.forgetDeleted(),
  }
}

function parse(text: string): PresenceState {
  try {
    return v.parse(stateSchema, JSON.parse(text))
  } catch {
    throw databaseDamaged('the presence keys of a device cannot be read')
  }
}

function encode({ own, others, fromPairing }: PresenceState): object {
  return {
    fromPairing,
    own: { epoch: own.epoch, key: text(own.key), seed: text(own.seed) },
    others:
      others === null
        ? null
        : { epoch: others.epoch, key: text(others.key), publicKey: text(others.publicKey) },
  }
}

function text(bytes: Uint8Array): string {
  return base64urlnopad.encode(Uint8Array.from(bytes))
}
