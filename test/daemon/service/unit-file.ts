/**
 * What systemd makes of an ExecStart line: words, quotes and C escapes, then specifiers, then in all but the program
 * itself the variables (systemd.service(5), "Command lines"). Written from the manual, and not from our own escaping.
 */
export function parseExecStart(unit: string, variables: Record<string, string>): string[] {
  const line = /^ExecStart=(?<line>.*)$/mu.exec(unit)?.groups?.['line'] ?? ''
  return words(line).map((word, index) => {
    const specified = specifiersReplaced(word)
    return index === 0 ? specified : variablesReplaced(specified, variables)
  })
}

function words(line: string): string[] {
  const found: string[] = []
  let word: string | null = null
  let quote: string | null = null
  for (let index = 0; index < line.length; index++) {
    const character = line.charAt(index)
    if (character === '\\') {
      const escaped = line.charAt(++index)
      const plain = { n: '\n', t: '\t', s: ' ', '"': '"', "'": "'", '\\': '\\' }[escaped]
      if (plain === undefined) throw new Error(`systemd knows no escape \\${escaped}`)
      word = (word ?? '') + plain
    } else if (quote !== null) {
      if (character === quote) quote = null
      else word = (word ?? '') + character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/u.test(character)) {
      if (word !== null) found.push(word)
      word = null
    } else word = (word ?? '') + character
  }
  if (quote !== null) throw new Error('a quote is not closed')
  if (word !== null) found.push(word)
  return found
}

function specifiersReplaced(word: string): string {
  return word.replaceAll(/%(?<letter>.)?/gsu, (_, letter: string | undefined) => {
    if (letter === '%') return '%'
    throw new Error(`a specifier: %${letter}`)
  })
}

function variablesReplaced(word: string, variables: Record<string, string>): string {
  return word.replaceAll(
    /\$\$|\$\{(?<braced>\w+)\}|\$(?<name>\w+)/gu,
    (match, braced?: string, name?: string) =>
      match === '$$' ? '$' : (variables[braced ?? name ?? ''] ?? ''),
  )
}
