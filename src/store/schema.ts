/** The version in `PRAGMA user_version`. A change below is a new version and a migration. */
export const schemaVersion = 1

/**
 * Everything that is kept. `trust` and `seal` are authenticated (see trust-seal.ts), the rest is not. Bodies are blobs,
 * because SQLite's text ends for some readers at the first NUL.
 */
export const schemaStatements = [
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
