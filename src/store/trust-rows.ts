import { timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'
import type { Database } from './database.ts'
import { databaseDamaged } from './storage-error.ts'
import { compareRows, slotOf, trustRecordSchema } from './trust-record.ts'
import type { TrustRecord, TrustSealer, TrustSlot } from './trust-record.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdColumn } from './columns.ts'

/** The authenticated tables, `trust` and `seal`. */
export interface TrustRows {
  write(record: TrustRecord): void
  delete(peerId: PeerId, slot: TrustSlot): void
  /** Seals the tables; called in the transaction of every change, with all the records that are there after it. */
  seal(generation: number, records: TrustRecord[]): void
}

const mac = v.pipe(v.instance(Uint8Array), v.length(32))
const sealSchema = v.object({ generation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)), mac })
const rowSchema = v.object({
  peer_id: peerIdColumn,
  slot: v.picklist(['provisional', 'settled']),
  name: v.string(),
  state: v.string(),
  // An empty key is kept as NULL and as nothing else.
  pair_key: v.nullable(v.pipe(v.instance(Uint8Array), v.nonEmpty())),
  acknowledgement: v.nullable(v.instance(Uint8Array)),
  paired_at_ms: v.number(),
  changed_at_ms: v.number(),
  mac,
  // A database that is about to be upgraded does not have it yet.
  farewell: v.optional(v.nullable(v.instance(Uint8Array)), null),
})

/** Loads and checks everything, from a database of any version. Generation 0: there has never been a registry in it. */
export function loadTrust(
  database: Database,
  sealer: TrustSealer,
): { generation: number; records: TrustRecord[] } {
  const records = database
    .query('SELECT * FROM trust', rowSchema)
    .all()
    .map((row) => checkedRecord(row, sealer))
  const seal = database.query('SELECT generation, mac FROM seal', sealSchema).get()
  if (seal === undefined) {
    if (records.length > 0) throw databaseDamaged('the seal on its devices is missing')
    return { generation: 0, records }
  }
  if (!timingSafeEqual(seal.mac, registryMac(sealer, seal.generation, records))) {
    throw databaseDamaged('devices were added to it, taken from it or exchanged')
  }
  return { generation: seal.generation, records }
}

export function trustRows(database: Database, sealer: TrustSealer): TrustRows {
  const replaceRow = database.command(`INSERT OR REPLACE INTO trust (peer_id, slot, name, state, pair_key,
    acknowledgement, paired_at_ms, changed_at_ms, mac, farewell) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const deleteRow = database.command('DELETE FROM trust WHERE peer_id = ? AND slot = ?')
  const replaceSeal = database.command('INSERT OR REPLACE INTO seal VALUES (1, ?, ?)')

  return {
    write(record) {
      const { peerId, name, state, acknowledgement, pairedAtMs, changedAtMs } = record
      // An empty blob is NULL here, because some versions of node:sqlite bind it as such anyway.
      const pairKey = record.pairKey.length === 0 ? null : record.pairKey
      const macOfRow = sealer.row(record)
      replaceRow.run(
        peerId,
        slotOf(state),
        name,
        state,
        pairKey,
        acknowledgement,
        pairedAtMs,
        changedAtMs,
        macOfRow,
        record.revocationNotice ?? null,
      )
    },
    delete(peerId, slot) {
      deleteRow.run(peerId, slot)
    },
    seal(generation, records) {
      replaceSeal.run(generation, registryMac(sealer, generation, records))
    },
  }
}

function registryMac(sealer: TrustSealer, generation: number, records: TrustRecord[]): Uint8Array {
  const macs = records.toSorted(compareRows).map((record) => sealer.row(record))
  return sealer.registry(generation, macs)
}

function checkedRecord(row: v.InferOutput<typeof rowSchema>, sealer: TrustSealer): TrustRecord {
  const parsed = v.safeParse(trustRecordSchema, {
    peerId: row.peer_id,
    name: row.name,
    state: row.state,
    pairKey: row.pair_key ?? new Uint8Array(),
    acknowledgement: row.acknowledgement,
    pairedAtMs: row.paired_at_ms,
    changedAtMs: row.changed_at_ms,
    ...(row.farewell === null ? {} : { revocationNotice: row.farewell }),
  })
  const genuine =
    parsed.success &&
    row.slot === slotOf(parsed.output.state) &&
    timingSafeEqual(row.mac, sealer.row(parsed.output))
  if (!genuine) throw databaseDamaged('what it says about a device was not written by this device')
  return parsed.output
}
