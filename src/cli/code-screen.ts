/** Screen of `pair`: pure, so that tests can read it. */

const wordsPerRow = 3

/** The twelve words, numbered, in rows of three. */
export function wordGrid(words: string): string {
  const cells = words.split(' ').map((word, index) => `${String(index + 1).padStart(2)} ${word}`)
  const width = Math.max(...cells.map((cell) => cell.length)) + 3
  const rows: string[] = []
  for (let start = 0; start < cells.length; start += wordsPerRow) {
    const row = cells.slice(start, start + wordsPerRow).map((cell) => cell.padEnd(width))
    rows.push(`  ${row.join('').trimEnd()}`)
  }
  return rows.join('\n')
}

/** Makes `123 456` of `123456`: easier to compare aloud. */
export function groupDigits(digits: string): string {
  return digits.replace(/^(\d{3})(\d{3})$/u, '$1 $2')
}

/**
 * Draws a QR code of two modules to a character, or returns null when the terminal has no room for it and the lines below it.
 * With colours it is black on white, independent of the terminal's own colours; without, light modules are drawn, which is right
 * on dark terminals.
 */
export function qrCode(
  modules: readonly (readonly boolean[])[],
  terminal: { columns: number; rows: number },
  isColoured: boolean,
): string | null {
  const rowsBelow = 12
  const lines = Math.ceil(modules.length / 2)
  if (modules.length > terminal.columns || lines + rowsBelow > terminal.rows) return null
  const result: string[] = []
  for (let row = 0; row < modules.length; row += 2) {
    const upper = modules[row] ?? []
    const lower = modules[row + 1] ?? []
    const line = upper.map((isDark, column) => block(!isDark, lower[column] !== true)).join('')
    result.push(isColoured ? `\u001b[97;40m${line}\u001b[0m` : line)
  }
  return result.join('\n')
}

function block(isUpperLight: boolean, isLowerLight: boolean): string {
  if (isUpperLight) return isLowerLight ? '█' : '▀'
  return isLowerLight ? '▄' : ' '
}
