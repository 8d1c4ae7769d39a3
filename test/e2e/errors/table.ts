import assert from 'node:assert/strict'

/** The rows of the Markdown table with these headings, each a list of cells; a cell that is one code span is its content. */
export function readTable(document: string, headings: readonly string[]): string[][] {
  const lines = document.split('\n')
  const start = lines.findIndex((line) => cellsOf(line).join('|') === headings.join('|'))
  assert.notEqual(start, -1, `there is no table with the columns ${headings.join(', ')}`)
  const rows: string[][] = []
  // The line after the headings only separates them.
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break
    const cells = cellsOf(line)
    assert.equal(cells.length, headings.length, line)
    rows.push(cells)
  }
  assert.ok(rows.length > 0)
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
