/**
 * All tables. `trust` and `seal` are authenticated (see trust-rows.ts), the rest is not. Bodies are blobs, because SQLite's text
 * ends for some readers at the first NUL.
 */
const first = [
  `CREATE TABLE trust (
    peer_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    pair_key BLOB,
    acknowledgement BLOB,
    paired_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (peer_id, slot)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE seal (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    generation INTEGER NOT NULL,
    mac BLOB NOT NULL
  ) STRICT`,
  `CREATE TABLE contacts (
    peer_id TEXT PRIMARY KEY,
    addresses TEXT NOT NULL,
    last_seen_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT`,
  `CREATE INDEX outbox_by_peer ON outbox (peer_id, sequence)`,
  `CREATE TABLE inbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT`,
  `CREATE TABLE seen (
    peer_id TEXT NOT NULL,
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (peer_id, id)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX seen_by_sequence ON seen (peer_id, sequence)`,
]

/** Revocation notices (a tombstone's, or what a device was told), messages that expire, inboxes that are pruned by age. */
const second = [
  `ALTER TABLE trust ADD COLUMN farewell BLOB`,
  `ALTER TABLE outbox ADD COLUMN expires_at_ms INTEGER`,
  `CREATE INDEX outbox_by_expiry ON outbox (expires_at_ms)`,
  `CREATE TABLE expired (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    expired_at_ms INTEGER NOT NULL
  ) STRICT`,
  `ALTER TABLE inbox ADD COLUMN received_at_ms INTEGER NOT NULL DEFAULT 0`,
  `UPDATE inbox SET received_at_ms = max(0, min(at_ms, unixepoch() * 1000))`,
  `CREATE TABLE lasting_clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    time_ms INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL
  ) STRICT`,
]

/** Shares of the inbox, by sender; the boot in which the time was kept. */
const third = [
  `CREATE INDEX inbox_by_peer ON inbox (peer_id, sequence)`,
  `ALTER TABLE lasting_clock ADD COLUMN boot_id TEXT`,
  `ALTER TABLE lasting_clock ADD COLUMN since_boot_ms INTEGER`,
]

/** The file that the database is in, to tell a copy. */
const fourth = [
  `CREATE TABLE place (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    file_number TEXT NOT NULL,
    file_made TEXT NOT NULL,
    last_used_ms INTEGER,
    put_back_ms INTEGER
  ) STRICT`,
]

/** The directory's mark, and the one before it. */
const fifth = [`ALTER TABLE place ADD COLUMN mark TEXT`, `ALTER TABLE place ADD COLUMN mark_before TEXT`]

/**
 * Additions of each version to the one before. They are never changed: a new database goes through all of them as an old one does
 * through the last, so that both end with the same tables.
 */
export const migrations: readonly (readonly string[])[] = [first, second, third, fourth, fifth]

/** The version in `PRAGMA user_version`. */
export const schemaVersion = migrations.length
