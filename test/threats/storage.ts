import { chmodSync, cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SpacedockError } from '../../src/errors.ts'
import { openStore } from '../../src/store/store.ts'
import { HandJoiner } from './hand-joiner.ts'
import { type Scene } from './scene.ts'
import { succeeded, withstood, type Patch, type Threat, type Verdict } from './threat.ts'

const noGeneration: Patch = {
  file: 'src/store/trust.ts',
  find: `if (loaded.generation < identity.registryGeneration) {`,
  replace: `if (loaded.generation < 0) {`,
}

/** Threat 29: what lies on the disk, changed by somebody else. */
export const threats: Threat[] = [
  {
    row: 29,
    title: 'an identity file with any byte changed, or with a wrong mode, is refused and left as it is',
    attack: changeIdentity,
    without: [
      {
        what: 'its checksum',
        patches: [
          {
            file: 'src/store/identity.ts',
            find: `if (!bytes.equals(encodeIdentity(content)))`,
            replace: `if (bytes.length === 0)`,
          },
        ],
      },
      {
        what: 'the check of the mode',
        patches: [
          {
            file: 'src/store/data-directory.ts',
            find: `(mode & 0o077) !== 0`,
            replace: `(mode & 0o077) < 0`,
          },
        ],
      },
    ],
  },
  {
    row: 29,
    title: 'a trust row with any byte changed, added or taken away is refused',
    attack: changeRows,
    without: [
      {
        what: 'the MAC of the rows',
        patches: [
          {
            file: 'src/store/trust-rows.ts',
            find: `timingSafeEqual(row.mac, sealer.row(parsed.output))`,
            replace: `sealer.row(parsed.output).length === row.mac.length`,
          },
          {
            file: 'src/store/trust-rows.ts',
            find: `!timingSafeEqual(seal.mac, registryMac(sealer, seal.generation, records))`,
            replace: `seal.mac.length !== 32`,
          },
        ],
      },
    ],
  },
  {
    row: 29,
    title:
      "a database that is cut, emptied, missing, older or another device's is refused, and no new one is made",
    attack: exchangeDatabase,
    without: [
      { what: 'the generation in the identity file', patches: [noGeneration] },
      {
        what: 'the memory that there has been a database',
        patches: [
          noGeneration,
          {
            file: 'src/store/store.ts',
            find: `const mayCreate = identity.registryGeneration === 0`,
            replace: `const mayCreate = identity.registryGeneration >= 0`,
          },
        ],
      },
    ],
  },
]

const identityFile = 'identity.json'
const databaseFile = 'spacedock.db'

/** The directory of a node that has paired twice, and its database as it was after the first time. */
async function usedDirectory(scene: Scene): Promise<{ directory: string; older: Buffer }> {
  const directory = scene.directory()
  let older: Buffer = Buffer.alloc(0)
  for (const name of ['phone', 'tablet']) {
    const node = await scene.node('laptop', { dataDir: directory })
    const invitation = await node.pair()
    const joiner = await HandJoiner.start(scene, node, invitation.words, name)
    await joiner.pair()
    await invitation.paired
    await joiner.raw.stop()
    await node.close()
    if (name === 'phone') older = readFileSync(join(directory, databaseFile))
  }
  return { directory, older }
}

/** What opening a copy with this change leads to: null when it is refused as it should be, else what was seen. */
function tamper(scene: Scene, directory: string, change: (copy: string) => void): string | null {
  const copy = scene.directory()
  cpSync(directory, copy, { recursive: true })
  change(copy)
  const before = contentOf(copy)
  try {
    const store = openStore({ dataDir: copy })
    const devices = store.trust.list().length
    store.close()
    return `it is opened, with ${devices} devices`
  } catch (error) {
    if (!(error instanceof SpacedockError)) return `it fails with ${String(error)}`
    if (!['identity-damaged', 'database-damaged', 'directory-unusable'].includes(error.code))
      return `it fails with ${error.code}`
    if (error.hint === undefined) return 'nobody is told what to do'
    return contentOf(copy) === before ? null : 'the files were changed'
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function contentOf(directory: string): string {
  return [identityFile, databaseFile]
    .map((name) => join(directory, name))
    .map((path) => (existsSync(path) ? readFileSync(path).toString('base64') : 'none'))
    .join('\n')
}

async function changeIdentity(scene: Scene): Promise<Verdict> {
  const { directory } = await usedDirectory(scene)
  const bytes = readFileSync(join(directory, identityFile))
  for (const [index, byte] of bytes.entries()) {
    // A flipped bit, and another sign of the same alphabet.
    for (const changed of [byte ^ 1, byte ^ 0x80, 0x41]) {
      if (changed === byte) continue
      const seen = tamper(scene, directory, (copy) =>
        writeFileSync(join(copy, identityFile), bytes.with(index, changed)),
      )
      if (seen !== null) return succeeded(`byte ${index}: ${seen}`)
    }
  }
  const others: Record<string, (copy: string) => void> = {
    emptied: (copy) => truncateSync(join(copy, identityFile)),
    'cut short': (copy) => truncateSync(join(copy, identityFile), bytes.length - 1),
    longer: (copy) => writeFileSync(join(copy, identityFile), Buffer.concat([bytes, Buffer.from('\n')])),
    missing: (copy) => rmSync(join(copy, identityFile)),
    'readable for others': (copy) => chmodSync(join(copy, identityFile), 0o644),
    'in an open directory': (copy) => chmodSync(copy, 0o755),
  }
  for (const [what, change] of Object.entries(others)) {
    const seen = tamper(scene, directory, change)
    if (seen !== null) return succeeded(`${what}: ${seen}`)
  }
  return withstood(`${bytes.length} bytes and ${Object.keys(others).length} other changes, all refused`)
}

async function changeRows(scene: Scene): Promise<Verdict> {
  const { directory } = await usedDirectory(scene)
  const columns = [
    'slot',
    'name',
    'state',
    'pair_key',
    'acknowledgement',
    'paired_at_ms',
    'changed_at_ms',
    'mac',
    'farewell',
    'peer_id',
  ]
  let changes = 0
  const execute = (sql: string, ...values: (Uint8Array | string | number | bigint)[]): string | null => {
    changes++
    return tamper(scene, directory, (copy) => {
      const database = new DatabaseSync(join(copy, databaseFile))
      database.prepare(sql).run(...values)
      database.close()
    })
  }
  const database = new DatabaseSync(join(directory, databaseFile), { readOnly: true })
  const row = database.prepare('SELECT * FROM trust LIMIT 1').get() ?? {}
  const seal = database.prepare('SELECT * FROM seal').get() ?? {}
  database.close()
  for (const column of columns) {
    for (const changed of changedValues(row[column] ?? null)) {
      const seen = execute(
        `UPDATE trust SET ${column} = ? WHERE peer_id = ?`,
        changed,
        String(row['peer_id']),
      )
      if (seen !== null) return succeeded(`${column}: ${seen}`)
    }
  }
  for (const changed of changedValues(seal['mac'] ?? null)) {
    const seen = execute('UPDATE seal SET mac = ?', changed)
    if (seen !== null) return succeeded(`the seal: ${seen}`)
  }
  const others = {
    'a row is gone': execute('DELETE FROM trust WHERE peer_id = ?', String(row['peer_id'])),
    'all rows are gone': execute('DELETE FROM trust'),
    'the seal is gone': execute('DELETE FROM seal'),
    'the generation is another one': execute('UPDATE seal SET generation = generation + 1'),
    'a row is another device': execute(
      `INSERT INTO trust SELECT '12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa', slot, name || '2', state, pair_key, acknowledgement, paired_at_ms, changed_at_ms, mac, farewell FROM trust LIMIT 1`,
    ),
    'a trigger was added': execute('CREATE TRIGGER t AFTER INSERT ON trust BEGIN DELETE FROM trust; END'),
  }
  for (const [what, seen] of Object.entries(others)) if (seen !== null) return succeeded(`${what}: ${seen}`)
  return withstood(`${changes} changes, all refused`)
}

/** The value with each of its bytes changed, one at a time. */
function changedValues(value: unknown): (Uint8Array | string | number)[] {
  if (value instanceof Uint8Array)
    return [...value.keys()].map((index) => value.with(index, (value[index] ?? 0) ^ 1))
  if (typeof value === 'number') return [value + 1, value - 1, 0]
  if (typeof value !== 'string') return []
  return Array.from(
    { length: value.length },
    (_, index) => `${value.slice(0, index)}\u0051${value.slice(index + 1)}`,
  ).filter((text) => text !== value)
}

async function exchangeDatabase(scene: Scene): Promise<Verdict> {
  const { directory, older } = await usedDirectory(scene)
  const other = await usedDirectory(scene)
  const bytes = readFileSync(join(directory, databaseFile))
  const write = (content: Uint8Array) => (copy: string) => writeFileSync(join(copy, databaseFile), content)
  const changes: Record<string, (copy: string) => void> = {
    missing: (copy) => rmSync(join(copy, databaseFile)),
    'as it was before the last pairing': write(older),
    emptied: write(new Uint8Array(0)),
    'of zeros': write(new Uint8Array(bytes.length)),
    "another device's": write(readFileSync(join(other.directory, databaseFile))),
    'an empty one': (copy) => {
      rmSync(join(copy, databaseFile))
      const empty = new DatabaseSync(join(copy, databaseFile))
      empty.exec('VACUUM')
      empty.close()
      chmodSync(join(copy, databaseFile), 0o600)
    },
    'no database': write(
      Buffer.from('this is no database, but it is long enough to be read as one'.repeat(100)),
    ),
    'readable for others': (copy) => chmodSync(join(copy, databaseFile), 0o644),
  }
  for (const length of [1, 100, 4096, bytes.length >> 1, bytes.length - 4096, bytes.length - 1]) {
    changes[`cut to ${length} bytes`] = (copy) => truncateSync(join(copy, databaseFile), length)
  }
  for (const [what, change] of Object.entries(changes)) {
    const seen = tamper(scene, directory, change)
    if (seen !== null) return succeeded(`${what}: ${seen}`)
  }
  return withstood(`${Object.keys(changes).length} other databases, all refused, none made anew`)
}
