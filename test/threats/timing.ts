import { commentless, sourcesOf, type Source } from './source-code.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'

const places = ['src/pairing', 'src/protocols', 'src/network', 'src/store', 'src/node'] as const

/** Threat 37, by reading the source: whoever compares a secret byte by byte tells by the time it takes. */
export const threats: Threat[] = [
  {
    row: 37,
    title: '(static) MACs, proofs and keys are compared in constant time only',
    attack: async () => compareSlowly(sourcesOf(places)),
    without: [
      {
        what: 'sameMac in the check of the probe',
        attack: async () => compareSlowly(replaceIn('sameMac(message.probe, ', 'equal(message.probe === ')),
      },
      {
        what: 'sameMac in the check of the commitment',
        attack: async () =>
          compareSlowly(
            replaceIn(
              'sameMac(commit(suite, nonce, share), commitment)',
              'hex(commit(suite, nonce, share)) === hex(commitment)',
            ),
          ),
      },
      {
        what: 'timingSafeEqual in the check of a row',
        attack: async () => compareSlowly(replaceIn('timingSafeEqual(row.mac, ', 'row.mac.equals(')),
      },
      {
        what: 'sameMac in the check of the last word',
        attack: async () =>
          compareSlowly(
            replaceIn(
              'sameMac(pair.acknowledgement, message.acknowledgement)',
              'Buffer.compare(pair.acknowledgement, message.acknowledgement) === 0',
            ),
          ),
      },
      {
        what: 'the whole walk of sameMac',
        attack: async () =>
          compareSlowly(
            replaceIn('difference |= byte ^ (b[index] ?? 0)', 'if (byte !== b[index]) return false'),
          ),
      },
    ],
  },
]

const secret =
  /(?:\b|[a-z])(?:mac|probe|proof|acknowledgement|lastWord|commitment|pairKey|keyId|secret|digest|checksum)s?\b/i
/** Lengths, absence and names say nothing about the bytes. */
const harmless =
  /null|undefined|\.length\b|byteLength|typeof|'[^']*'|\b\d+\b|\.(?:type|state|phase|slot|kind)\b/

function compareSlowly(sources: readonly Source[]): Verdict {
  let compared = 0
  for (const { path, text } of sources) {
    for (const { number, text: line } of commentless(text)) {
      compared += line.match(/\b(?:sameMac|timingSafeEqual)\(/g)?.length ?? 0
      const slow = comparisons(line).find((operands) => operands.some((each) => secret.test(each)))
      if (slow !== undefined) return succeeded(`${path}:${number} compares ${slow.join(' with ')}`)
    }
  }
  const early = earlyExit(sources)
  if (early !== null) return succeeded(early)
  return compared < 10
    ? succeeded(`only ${compared} comparisons are left`)
    : withstood(`${sources.length} files, ${compared} comparisons, all of them in constant time`)
}

/** The operands of every comparison of values in the line that ends at the first difference. */
function comparisons(line: string): string[][] {
  const found: string[][] = []
  for (const match of line.matchAll(/(?<left>[^&|?;{}=!<>]+?)\s*(?:===|!==|==|!=)\s*(?<right>[^&|?;{}]+)/g)) {
    const { left = '', right = '' } = match.groups ?? {}
    if (!harmless.test(left) && !harmless.test(right)) found.push([left.trim(), right.trim()])
  }
  for (const match of line.matchAll(
    /(?<left>[\w.#?]+)\.(?:equals|includes|indexOf|localeCompare|startsWith)\((?<right>[^)]*)/g,
  )) {
    found.push([match.groups?.['left'] ?? '', match.groups?.['right'] ?? ''])
  }
  for (const match of line.matchAll(/\bcompare\((?<both>[^)]*)/g)) found.push([match.groups?.['both'] ?? ''])
  return found
}

/** sameMac itself must look at every byte, whatever it has seen. */
function earlyExit(sources: readonly Source[]): string | null {
  const proofs = sources.find(({ path }) => path.endsWith('proofs.ts'))
  const body = /export function sameMac[\s\S]*?\n\}/.exec(proofs?.text ?? '')?.[0]
  if (body === undefined) return 'sameMac is not where it was'
  const loop = body.slice(body.indexOf('for ('), body.lastIndexOf('return'))
  return /\b(?:return|break|throw|&&|\|\|)\b|\?\?=/.test(loop) || !loop.includes('|=')
    ? 'sameMac ends early'
    : null
}

function replaceIn(find: string, replacement: string): Source[] {
  const sources = sourcesOf(places)
  const holders = sources.filter(({ text }) => text.split(find).length === 2)
  if (holders.length !== 1)
    throw new Error(`${holders.length} files hold what the control wants to take out: ${find}`)
  return sources.map(({ path, text }) => ({ path, text: text.replace(find, () => replacement) }))
}
