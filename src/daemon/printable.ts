import { stripVTControlCharacters } from 'node:util'

/**
 * Makes text from other devices fit for a terminal, a log or another program. Every place that prints such text goes through
 * here: control characters move the cursor and change colours, bidirectional controls make a line read differently than it is,
 * and line breaks forge lines that nobody sent (threat 27).
 */

/** Makes one line: for names, addresses and reasons. */
export function printableLine(text: string): string {
  return printableText(text).replaceAll(/\s+/gu, ' ').trim()
}

/** Makes several lines: for the text of messages. Keeps line breaks and tabs and nothing else that is invisible and acts. */
export function printableText(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/\r\n?|[\u2028\u2029\u0085\v\f]/gu, '\n')
    .replaceAll(acting, (character) => (character === '\n' || character === '\t' ? character : ''))
}

/** Formats JSON on one line. Characters that act on a terminal become JSON's own escapes, so a parser reads the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(acting, escaped)
}

/** Controls (C0, DEL, C1), lone surrogates, bidirectional controls, line separators, and the invisible tag characters. */
const acting = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu

function escaped(character: string): string {
  let result = ''
  for (let index = 0; index < character.length; index++) {
    result += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
  }
  return result
}
