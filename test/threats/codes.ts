import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { SpacedockError } from '../../src/errors.ts'
import { parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { addressOf, pause, tryJoin, until, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Patch, type Threat, type Verdict } from './threat.ts'

const noChecksum: Patch = {
  file: 'src/pairing/pairing-code.ts',
  find: `entropy: mnemonicToEntropy(words.join(' '), wordlist), words`,
  replace: `entropy: new Uint8Array(16), words`,
}

/** Threat 17: words that are wrong, or written in another way. */
export const threats: Threat[] = [
  {
    row: 17,
    title: 'wrong words are refused with the nearest ones, and no packet leaves',
    attack: wrongWords,
    without: [
      { what: 'the checksum', patches: [noChecksum] },
      {
        what: 'the word list (a wrong word is guessed)',
        patches: [
          noChecksum,
          {
            file: 'src/pairing/pairing-code.ts',
            find: `const found = completeWord(word)`,
            replace: `const found = completeWord(word) ?? nearestWords(word)[0] ?? null`,
          },
        ],
      },
    ],
  },
  {
    row: 17,
    title: 'right words are accepted in any case, spelling and Unicode form, and as four-letter prefixes',
    attack: rightWords,
    without: [
      {
        what: 'upper and lower case alike',
        patches: [{ file: 'src/pairing/pairing-code.ts', find: `    .toLowerCase()\n`, replace: `` }],
      },
      {
        what: 'one Unicode form',
        patches: [{ file: 'src/pairing/pairing-code.ts', find: `    .normalize('NFKD')\n`, replace: `` }],
      },
      {
        what: 'prefixes',
        patches: [
          {
            file: 'src/pairing/pairing-code.ts',
            find: `return candidates.length === 1 ? (candidates[0] ?? null) : null`,
            replace: `return candidates.length > 9_999 ? (candidates[0] ?? null) : null`,
          },
        ],
      },
    ],
  },
]

async function wrongWords(scene: Scene): Promise<Verdict> {
  const bob = await scene.node('bob')
  const alice = await scene.node('alice')
  const { words } = await alice.pair()
  // Stands at the address that Bob is given: whatever leaves him arrives here.
  let contacts = 0
  const listener = createServer((socket) => {
    contacts++
    socket.destroy()
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  scene.after(() => void listener.close())
  const { port } = listener.address() as AddressInfo
  const peer = `/ip4/127.0.0.1/tcp/${port}/p2p/${alice.peerId}`

  const [first = '', ...rest] = words.split(' ')
  const others = rest.join(' ')
  const attempts: Record<string, { code: string; hint?: string }> = {
    'a word that does not exist': { code: `${first}x ${others}`, hint: first },
    'a slip of the finger': { code: `${words.slice(0, words.lastIndexOf(' '))} abandpn`, hint: 'abandon' },
    'a wrong word': { code: wrongChecksum(words) },
    'a word too few': { code: others },
    'a word too many': { code: `${words} ${first}` },
    nothing: { code: '' },
    'a long text': { code: 'word '.repeat(100_000) },
  }
  for (const [what, { code, hint }] of Object.entries(attempts)) {
    const message = await bob
      .join(code, { peers: [peer], timeoutMs: 400 })
      .then(() => 'paired')
      .catch((error: unknown) =>
        error instanceof SpacedockError && error.code === 'invalid-code'
          ? `${error.message} ${error.hint}`
          : null,
      )
    await pause(20)
    if (contacts > 0) return succeeded(`a packet left after ${what}`)
    if (message === null || message === 'paired') return succeeded(`${what} is not refused as wrong`)
    if (hint !== undefined && !message.includes(hint))
      return succeeded(`${what}: "${message}" does not name ${hint}`)
  }
  // The same address with right words, to know that packets would have been seen.
  const seen = new AbortController()
  const joining = tryJoin(bob, words, [peer], { timeoutMs: 60_000, signal: seen.signal })
  await until(() => contacts > 0, 'the packets of right words', 30_000).catch(() => undefined)
  seen.abort(new Error('enough'))
  await joining
  return unless(
    { 'the listener sees nothing at all': contacts === 0 },
    `${Object.keys(attempts).length} wrong codes, no packet`,
  )
}

/** Twelve words of the list that are no code. */
function wrongChecksum(words: string): string {
  const [, ...rest] = words.split(' ')
  const replaced = wordlist.map((word) => [word, ...rest].join(' '))
  const wrong = replaced.find((candidate) => candidate !== words && !isCode(candidate))
  if (wrong === undefined) throw new Error('every word fits')
  return wrong
}

function isCode(words: string): boolean {
  const parsed = parsePairingCode(words)
  return parsed.ok && parsed.words === words && parsed.entropy.some((byte) => byte !== 0)
}

async function rightWords(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  const spellings: Record<string, (words: string) => string> = {
    'upper case': (words) => words.toUpperCase(),
    'mixed case': (words) => words.replaceAll(/\b\w/g, (letter) => letter.toUpperCase()),
    'dashes, commas and line breaks': (words) =>
      words
        .split(' ')
        .map((word, index) => word + ['-', ', ', '\n'][index % 3])
        .join(''),
    'numbers in front': (words) =>
      words
        .split(' ')
        .map((word, index) => `${index + 1}. ${word}`)
        .join(' '),
    'spaces around': (words) => `\u00a0  ${words.replaceAll(' ', ' \u3000 ')}\t\n`,
    'four letters of each': (words) =>
      words
        .split(' ')
        .map((word) => word.slice(0, 4))
        .join(' '),
    'full-width letters': (words) =>
      words.replaceAll(/[a-z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0)),
    'the URI': (words) => `spacedock:${words.split(' ').join('-')}`,
  }
  for (const [what, spell] of Object.entries(spellings)) {
    const invitation = await alice.pair()
    const joined = await tryJoin(bob, spell(invitation.words), [addressOf(alice)])
    if (typeof joined === 'string') return succeeded(`${what}: ${joined}`)
    await invitation.paired
  }
  return withstood(`${Object.keys(spellings).length} spellings pair`)
}
