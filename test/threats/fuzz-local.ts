import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { requestLineCapBytes, requestLine } from '../../src/daemon/daemon-api.ts'
import { parseJson, readLines } from '../../src/daemon/lines.ts'
import { printableJson, printableLine } from '../../src/daemon/printable.ts'
import { openDatabase } from '../../src/store/database.ts'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { trustSealer } from '../../src/store/trust-record.ts'
import { loadTrust } from '../../src/store/trust-rows.ts'
import { fakePeerId } from './fake-peer-id.ts'
import type { FuzzInput } from './fuzz-input.ts'
import { check, onlyOurs, sameBytes, type FuzzTarget } from './fuzz-checks.ts'

const utf8 = new TextEncoder()
const database = openDatabase(':memory:', { mayCreate: true })
const insert = database.command('INSERT OR REPLACE INTO trust VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
const clear = database.command('DELETE FROM trust')
const sealer = trustSealer(sameBytes(32))

let identityDirectory: string | undefined
const identityText = utf8.encode(
  `${JSON.stringify({ format: 1, seed: 'A'.repeat(43), registryGeneration: 3, checksum: 'B'.repeat(22) })}\n`,
)

/** What lies on the disk, comes over the local socket, or goes to a terminal. */
export const localTargets: FuzzTarget[] = [
  { name: 'daemon lines', once: decodeDaemonLines },
  { name: 'database rows', once: decodeRow },
  { name: 'identity files', once: decodeIdentity },
  {
    name: 'printed text',
    once(input) {
      const text = input.text(['plain', '\u001b[2J', '\u009b31m', 'a\u202eb', '\ud83d\udc69'])
      check(
        !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(printableLine(text)),
        'a line that acts on a terminal',
      )
      check(JSON.parse(printableJson({ text })).text === text, 'JSON that says something else')
    },
  },
]

async function decodeDaemonLines(input: FuzzInput): Promise<void> {
  const line = utf8.encode(
    '{"version":"0.1.0","method":"send","params":{"device":"x","content":{"text":"y"}}}\n',
  )
  const pieces = input.pieces(input.damaged([line, utf8.encode('{"answer":{"id":1,"value":true}}\n')]))
  try {
    for await (const text of readLines(toAsync(pieces), requestLineCapBytes))
      v.safeParse(requestLine, parseJson(text))
  } catch (error) {
    onlyOurs(() => {
      throw error
    })
  }
}

async function* toAsync(pieces: Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* pieces
}

function decodeRow(input: FuzzInput): void {
  clear.run()
  const blob = (): Uint8Array | null => input.pick([null, input.bytes(32), input.bytes(input.below(40))])
  const number = (): number | bigint =>
    input.pick([0, 1, -1, Date.now(), 2 ** 53, 9_223_372_036_854_775_807n])
  const text = (...examples: string[]): string => input.pick([input.text(examples), ...examples])
  onlyOurs(() =>
    insert.run(
      text(fakePeerId()),
      text('settled', 'provisional'),
      text('phone'),
      text('active', 'revoked', 'pending'),
      blob(),
      blob(),
      number(),
      number(),
      input.bytes(32),
      blob(),
    ),
  )
  const loaded = onlyOurs(() => loadTrust(database, sealer))
  check(loaded === undefined || loaded.records.length === 0, 'a made-up row is believed')
}

function decodeIdentity(input: FuzzInput): void {
  identityDirectory ??= temporaryDirectory()
  writeFileSync(join(identityDirectory, 'identity.json'), input.damaged([identityText]), { mode: 0o600 })
  const identity = onlyOurs(() => loadOrCreateIdentity(identityDirectory ?? ''))
  check(identity === undefined, 'a damaged identity is taken')
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spacedock-fuzz-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}
