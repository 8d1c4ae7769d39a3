/** Longest device name, in UTF-16 code units. */
export const maxNameLength = 48

const fallbackName = 'unnamed device'

/**
 * Makes any string safe to show in a terminal, a log or a page: no control characters, no line breaks, nothing that
 * turns the direction of text or is invisible; one line, bounded.
 */
export function sanitizeDeviceName(name: string): string {
  const visible = name
    .slice(0, 20 * maxNameLength)
    .replaceAll(/[\p{Zs}\p{Zl}\p{Zp}\t\n\r\v\f]+/gu, ' ')
    .replaceAll(/[\p{C}\p{Default_Ignorable_Code_Point}\u2800\uFFFC\uFFFD]/gu, '')
    // Normalisation after the removal, which may have brought together what composes: cleaning twice must change nothing.
    .normalize('NFC')
    // Limit of combining marks: more than two on a letter climb over the lines above.
    .replaceAll(/(\p{M}{2})\p{M}+/gu, '$1')
    .replaceAll(/ {2,}/gu, ' ')
    .trim()
  return truncate(visible).trim() || fallbackName
}

function truncate(text: string): string {
  if (text.length <= maxNameLength) return text
  let result = ''
  for (const character of text) {
    if (result.length + character.length > maxNameLength) break
    result += character
  }
  return result
}
