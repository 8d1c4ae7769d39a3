import { SpacedockError } from './errors.ts'
import { editDistance } from './pairing/edit-distance.ts'

/** Names of all options of one kind as keys: the compiler sees to it that none is missing. */
export type OptionNames<Options> = Readonly<Record<keyof Options, unknown>>

/**
 * Refuses an unknown option with `invalid-argument`: most likely a typing mistake, by which something would be left undone
 * without a word. `of`: the taker of the options. `prefix`: of those inside another option, such as `messages.`.
 */
export function checkOptions<Options extends object>(
  given: Options,
  names: OptionNames<Options>,
  of: string,
  prefix = '',
): void {
  if (typeof given !== 'object' || given === null) {
    throw new SpacedockError('invalid-argument', `The options of ${of} are not an object.`)
  }
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(names, name))
  if (unknown === undefined) return
  const choices = Object.keys(names)
  throw new SpacedockError('invalid-argument', `There is no option "${prefix}${unknown}" of ${of}.`, {
    hint: suggest(unknown, choices),
    option: `${prefix}${unknown}`,
    choices,
  })
}

/** Suggests the nearest of the names that there are, or else all. */
export function suggest(unknown: string, choices: readonly string[]): string {
  const meant = nearest(unknown, choices)
  return meant === null ? `There is ${choices.join(', ')}.` : `Did you mean "${meant}"?`
}

/** Candidate that was most likely meant, or null when none is close. */
export function nearest(typed: string, candidates: readonly string[]): string | null {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(typed.toLowerCase(), candidate) }))
    .toSorted((a, b) => a.distance - b.distance)
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : null
}
