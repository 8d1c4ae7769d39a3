import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { editDistance } from './edit-distance.ts'

/** Length of a pairing code: 16 bytes of entropy, written as twelve English words (BIP39, with its 4-bit checksum). */
export const entropyLength = 16
const wordCount = 12

export type ParsedPairingCode =
  | { ok: true; entropy: Uint8Array; words: string }
  | {
      ok: false
      /** Fault, and what to do about it: a sentence each, for people. */
      message: string
      hint: string
      /** Position of the wrong word, counted from 1. */
      position?: number
      /** Words it was most likely meant to be, best first. */
      nearest?: string[]
    }

/** Returns the twelve words, lower case, separated by single spaces. */
export function formatPairingCode(entropy: Uint8Array): string {
  if (entropy.length !== entropyLength)
    throw new RangeError('a pairing code is made from 16 bytes of entropy')
  return entropyToMnemonic(entropy, wordlist)
}

/**
 * Reads what a person typed or pasted: any case, any Unicode form, words separated by spaces, dashes, commas or line
 * breaks, with or without numbers in front, each in full or as a prefix that only one word has (four letters are
 * always enough).
 */
export function parsePairingCode(text: string): ParsedPairingCode {
  // A code is about 100 characters; a longer text is no code, and is not worth looking at.
  if (text.length > 2_000) return wrongCount(wordCount + 1)
  const typed = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}/gu, '')
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== '')

  const words: string[] = []
  for (const [index, word] of typed.entries()) {
    const found = completeWord(word)
    if (found !== null) {
      words.push(found)
      continue
    }
    const position = index + 1
    const nearest = nearestWords(word)
    const shown = word.length > 20 ? `${word.slice(0, 20)}…` : word
    const message = `Word ${position}, "${shown}", is not in the list of words.`
    const hint = `Did you mean ${nearest.slice(0, -1).join(', ')} or ${nearest.at(-1)}?`
    return { ok: false, message, hint, position, nearest }
  }
  if (words.length !== wordCount) return wrongCount(words.length)

  try {
    return { ok: true, entropy: mnemonicToEntropy(words.join(' '), wordlist), words: words.join(' ') }
  } catch {
    return {
      ok: false,
      message: 'One of the words is wrong, or in the wrong place.',
      hint: 'Compare each of them with the other screen.',
    }
  }
}

function wrongCount(count: number): ParsedPairingCode {
  const hint = 'Type the twelve words that the other device shows, and nothing else.'
  if (count === 0) return { ok: false, message: 'These are no words, and a pairing code is twelve.', hint }
  const problem = count < wordCount ? `only ${count} of them are here` : 'there are more here'
  return { ok: false, message: `A pairing code is twelve words, and ${problem}.`, hint }
}

/** Returns the word itself, or the only one that starts like this. */
function completeWord(typed: string): string | null {
  if (wordlist.includes(typed)) return typed
  const candidates = wordlist.filter((word) => word.startsWith(typed))
  return candidates.length === 1 ? (candidates[0] ?? null) : null
}

function nearestWords(typed: string): string[] {
  const start = typed.slice(0, 12) // the longest word has eight letters
  return wordlist
    .map((word) => ({ word, distance: editDistance(start, word) - (word.startsWith(start) ? 10 : 0) }))
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ word }) => word)
}
