import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite1 } from '../../src/pairing/suite.ts'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import { parsePairingCode } from '../../src/pairing/pairing-code.ts'
import type { RunningProcess } from '../lab/process.ts'
import { RealDaemon } from './real-daemon.ts'
import { pause, type Scene } from './scene.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'

/** Threat 35: words and keys where they do not belong. */
export const threats: Threat[] = [
  {
    row: 35,
    title:
      'words and keys are nowhere in outputs, logs, files, arguments and environments but where the code is shown',
    attack: searchEverything,
    seconds: 15,
    without: [
      {
        what: 'silence about the code (and what the log takes out)',
        patches: [
          {
            file: 'src/protocols/pairing-service.ts',
            find: `    this.#invitations.add(runner)\n`,
            replace: `    this.#invitations.add(runner)
    this.#components.log('debug', 'pairing.code', { shown: code.words })\n`,
          },
          {
            file: 'src/daemon/log.ts',
            find: `    .replaceAll(/(?:\\b[a-z]{3,8}\\b[\\s,-]+){11,}[a-z]{3,8}\\b/giu, redacted)\n`,
            replace: ``,
          },
        ],
      },
      {
        what: 'silence about the pair key',
        patches: [
          {
            file: 'src/node/trusted-peers.ts',
            find: `    const { peer: peerId, name, pairKey, acknowledgement } = pair\n`,
            replace: `    const { peer: peerId, name, pairKey, acknowledgement } = pair
    this.#log('debug', 'pairing.row', { row: Buffer.from(pairKey).toString('base64') })\n`,
          },
        ],
      },
      {
        what: 'the rule that the code is never stored',
        patches: [
          {
            file: 'src/node/pairings.ts',
            find: `    const sessionId = sessionIdOf(code.keys)\n`,
            replace: `    const sessionId = sessionIdOf(code.keys)
    if (process.env['HOME'] !== undefined) (await import('node:fs')).writeFileSync(process.argv[process.argv.indexOf('--dir') + 1] + '/last-code', code.words)\n`,
          },
        ],
      },
    ],
  },
]

interface Found {
  where: string
  bytes: Buffer
}

async function searchEverything(scene: Scene): Promise<Verdict> {
  const alice = await RealDaemon.start(scene, 'alice')
  const bob = await RealDaemon.start(scene, 'bob')
  const places: Found[] = []
  const look = (where: string, ...processes: (RunningProcess | number)[]): void => {
    for (const each of processes)
      places.push(...processPlaces(where, typeof each === 'number' ? each : each.pid))
  }
  const print = (where: string, ...texts: string[]): void => {
    for (const text of texts) places.push({ where, bytes: Buffer.from(text) })
  }

  const pairing = alice.spawn(['pair', '--yes', '--json'])
  const shown = await pairing.line((line) => line.includes('"event":"code"'))
  const { words } = JSON.parse(shown) as { words: string }
  const wrong = await bob.run(['join', '-', '--yes'], {
    input: `${words.slice(0, words.lastIndexOf(' '))} abandpn\n`,
  })
  print('a join with a wrong word', wrong.stdout, wrong.stderr)
  const joining = bob.spawn(['join', '-', '--yes', '--json', '--peer', await alice.address()])
  joining.end(`${words}\n`)
  for (let moment = 0; moment < 20 && joining.running; moment++) {
    look('while pairing', pairing, joining, alice.process, bob.process)
    await pause(25)
  }
  const [atAlice, atBob] = [await pairing.finished(), await joining.finished()]
  if (atBob.code !== 0) throw new Error(`the pairing failed: ${atBob.stderr}`)
  const beforeRevocation = [...secretsOf(alice.dataDir), ...secretsOf(bob.dataDir)]
  print('what join prints', atBob.stdout, atBob.stderr)
  print('what pair prints besides the code', atAlice.stderr, atAlice.stdout.replace(shown, ''))

  for (const args of [
    ['send', 'bob', 'hello'],
    ['ping', 'bob'],
    ['devices'],
    ['status'],
    ['outbox'],
    ['rename', 'bob', 'robert'],
  ]) {
    await alice.run(args)
  }
  for (const args of [['inbox'], ['devices', '--json'], ['join', 'one', 'two'], ['send', 'nobody', 'x']])
    await bob.run(args)
  places.push(...filePlaces(alice.dataDir), ...filePlaces(bob.dataDir))
  await alice.run(['revoke', 'robert'])
  await bob.run(['devices'])
  look('at the end', alice.process, bob.process)
  print('other commands', ...alice.printed, ...bob.printed)
  print("a daemon's log", alice.log, bob.log, alice.process.stdout, bob.process.stdout)
  places.push(...filePlaces(alice.dataDir), ...filePlaces(bob.dataDir))

  const needles = [...codeNeedles(words), ...beforeRevocation]
  for (const { where, bytes } of places) {
    for (const { what, needle, belongs } of needles) {
      if (belongs !== undefined && where.endsWith(belongs)) continue
      if (contains(bytes, needle)) return succeeded(`${what}: in ${where}`)
    }
  }
  const positive = codeNeedles(words).some(({ needle }) => contains(Buffer.from(shown), needle))
  if (!positive || beforeRevocation.length < 6) return succeeded('the search finds nothing at all')
  if (!alice.log.includes('pairing.phase')) return succeeded('the log is empty')
  return withstood(`${needles.length} secrets, ${places.length} places; only where the code is shown`)
}

interface Needle {
  what: string
  needle: Buffer | RegExp
  /** The end of the name of the one file in which it belongs. */
  belongs?: string
}

function codeNeedles(words: string): Needle[] {
  const code = parsePairingCode(words)
  if (!code.ok) throw new Error(code.message)
  const list = words.split(' ')
  const triples = list.slice(0, -2).map((_, index) => list.slice(index, index + 3).join('[\\s,+_"-]{1,4}'))
  const { sessionId, ...keys } = deriveCodeKeys(suite1, code.entropy)
  if (sessionId.length !== 16) throw new Error('the session id is no session id')
  return [
    ...triples.map((triple) => ({ what: 'three words of the code', needle: new RegExp(triple, 'i') })),
    ...encodings('the entropy', code.entropy),
    ...Object.entries(keys).flatMap(([name, key]) => encodings(name, key)),
  ]
}

/** The pair keys, last words and identity of a data directory. */
function secretsOf(dataDir: string): Needle[] {
  const database = new DatabaseSync(join(dataDir, 'spacedock.db'), { readOnly: true })
  const rows = database.prepare('SELECT pair_key, acknowledgement FROM trust').all()
  database.close()
  const { seed } = JSON.parse(readFileSync(join(dataDir, 'identity.json'), 'utf8')) as { seed: string }
  const inDatabase = rows.flatMap((row) => [
    ...encodings('the pair key', row['pair_key'] as Uint8Array),
    ...encodings('the last word', row['acknowledgement'] as Uint8Array),
  ])
  return [
    ...inDatabase
      .flatMap((needle) => ['.db', '.db-wal'].map(() => needle))
      .map((needle) => ({ ...needle, belongs: 'spacedock.db*' })),
    ...encodings('the identity', new Uint8Array(Buffer.from(seed, 'base64url'))).map((needle) => ({
      ...needle,
      belongs: 'identity.json*',
    })),
  ]
}

/** As bytes and in the encodings that anybody would use; the last characters may differ by padding. */
function encodings(what: string, secret: Uint8Array | null): Needle[] {
  if (secret === null || secret.length === 0) return []
  const bytes = Buffer.from(secret)
  const base64 = bytes.toString('base64').replaceAll('=', '')
  return [
    { what, needle: bytes },
    { what, needle: new RegExp(bytes.toString('hex'), 'i') },
    { what, needle: Buffer.from(base64.slice(0, -1)) },
    { what, needle: Buffer.from(bytes.toString('base64url').slice(0, -1)) },
    { what, needle: Buffer.from([...secret].join(',')) },
  ]
}

function contains(bytes: Buffer, needle: Buffer | RegExp): boolean {
  return needle instanceof RegExp ? needle.test(bytes.toString('latin1')) : bytes.includes(needle)
}

function processPlaces(where: string, pid: number): Found[] {
  return ['cmdline', 'environ'].flatMap((name) => {
    try {
      return [{ where: `${where}: ${name}`, bytes: readFileSync(`/proc/${pid}/${name}`) }]
    } catch {
      return [] // it has ended
    }
  })
}

/** Every file of a data directory, under a name that says whether keys belong in it. */
function filePlaces(dataDir: string): Found[] {
  return readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const kind = /^(?:spacedock\.db|identity\.json)/.exec(entry.name)?.[0]
      const where = kind === undefined ? entry.name : `${kind}*`
      return { where, bytes: readFileSync(join(entry.parentPath, entry.name)) }
    })
}
