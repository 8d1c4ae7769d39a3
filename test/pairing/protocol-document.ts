import { readFileSync } from 'node:fs'

/** What the tests take from PROTOCOL.md, so that it cannot say anything else than the code does. */
const text = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')

/** The text of a section, up to the next heading of the same or a higher level. */
export function section(title: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => /^#+ /u.test(line) && line.replace(/^#+ /u, '') === title)
  if (start === -1) throw new Error(`PROTOCOL.md has no section called ${title}`)
  const level = lines[start]?.indexOf(' ') ?? 0
  const length = lines.slice(start + 1).findIndex((line) => {
    const depth = /^#+(?= )/u.exec(line)?.[0].length
    return depth !== undefined && depth <= level
  })
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n')
}

/** The cells of a table of a section, the first unless said, without its two head lines and without backticks. */
export function tableOf(title: string, index = 0): string[][] {
  const table = [...`${section(title)}\n`.matchAll(/^(?:\|.*\n)+/gmu)][index]?.[0] ?? ''
  const rows = table.trim().split('\n')
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.replaceAll('`', '').trim()),
  )
}
