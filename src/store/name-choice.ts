import { SpacedockError } from '../errors.ts'
import { maxNameLength, sanitizeDeviceName } from '../pairing/device-name.ts'

/** Key of a name: two names with one key are the same name to a person who types it. */
export function nameKey(name: string): string {
  return name.normalize('NFKC').toLowerCase()
}

/** Returns the wanted name, or the first of "name (2)", "name (3)" ... that nobody has. */
export function availableName(wanted: string, taken: Iterable<string>): string {
  const name = sanitizeDeviceName(wanted)
  const takenKeys = new Set([...taken].map(nameKey))
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : numberedName(name, number)
    if (!takenKeys.has(nameKey(candidate))) return candidate
  }
}

/** Whether a device got this name because another one is called `original`. */
export function isNumberedName(name: string, original: string): boolean {
  const number = numberOf(name)
  return number !== null && nameKey(name) === nameKey(numberedName(original, number))
}

/** Number at the end of a name, as those have it whose wanted name was taken; null when there is none. */
export function numberOf(name: string): number | null {
  const number = / \((?<number>[1-9]\d*)\)$/u.exec(name)?.groups?.['number']
  return number === undefined ? null : Number(number)
}

function numberedName(name: string, number: number): string {
  const suffix = ` (${number})`
  return `${shortened(name, maxNameLength - suffix.length)}${suffix}`
}

/** Returns a name that a person chose, sanitised. Error: `invalid-argument` when it is taken or shows nothing. */
export function chosenName(wanted: string, taken: Iterable<string>): string {
  // The placeholder is what sanitising makes of a name without anything visible.
  const placeholder = sanitizeDeviceName('')
  const name = sanitizeDeviceName(wanted)
  if (name === placeholder && wanted.trim() !== placeholder) {
    throw new SpacedockError('invalid-argument', 'A device needs a name that can be seen.', {
      hint: 'Choose one with letters or digits.',
    })
  }
  const key = nameKey(name)
  if ([...taken].some((other) => nameKey(other) === key)) {
    throw new SpacedockError('invalid-argument', `Another device is called "${name}" already.`, {
      hint: 'Choose a different name, or rename the other device first.',
    })
  }
  return name
}

function shortened(name: string, length: number): string {
  let result = ''
  for (const character of name) {
    if (result.length + character.length > length) break
    result += character
  }
  return result.trimEnd()
}
