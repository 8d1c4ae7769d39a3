import assert from 'node:assert/strict'

/** The rows of all Markdown tables with these headings, each a list of cells; a cell that is one code span is its content. */
export function readTables(document: string, headings: readonly string[]): string[][] {
  const rows: string[][] = []
  let isInside = false
  for (const line of document.split('\n')) {
    const cells = cellsOf(line)
    if (cells.join('|') === headings.join('|')) isInside = true
    else if (cells.length === 0) isInside = false
    else if (isInside && !cells.every((cell) => /^:?-+:?$/u.test(cell))) {
      assert.equal(cells.length, headings.length, line)
      rows.push(cells)
    }
  }
  assert.ok(rows.length > 0, `there is no table with the columns ${headings.join(', ')}`)
  return rows
}

function cellsOf(line: string): string[] {
  if (!line.startsWith('|')) return []
  return line
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/u)
    .map((cell) => cell.trim().replaceAll(String.raw`\|`, '|'))
    .map((cell) => /^`(?<code>[^`]*)`$/u.exec(cell)?.groups?.['code'] ?? cell)
}
