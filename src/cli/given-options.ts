import { SpacedockError } from '../errors.ts'

export type OptionValue = string | boolean | string[]

/** Options of one command line, already checked against the command's table. */
export class GivenOptions {
  readonly #values: ReadonlyMap<string, OptionValue>

  constructor(values: ReadonlyMap<string, OptionValue>) {
    this.#values = values
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name)
    return typeof value === 'string' ? value : undefined
  }

  list(name: string): string[] {
    const value = this.#values.get(name)
    return Array.isArray(value) ? value : []
  }

  /** Returns one of the values. Throws `invalid-argument` for anything else. */
  choice<Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const text = this.text(name)
    const chosen = values.find((value) => value === text)
    if (chosen !== undefined || text === undefined) return chosen
    throw new SpacedockError('invalid-argument', `The option --${name} takes ${values.join(' or ')}.`)
  }

  /** Returns a whole number in the range. Throws `invalid-argument` for anything else. */
  wholeNumber(name: string, least: number, most: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (/^\d+$/u.test(text) && value >= least && value <= most) return value
    throw new SpacedockError('invalid-argument', `The value "${text}" does not fit --${name}.`, {
      hint: `Give a whole number from ${least} to ${most}.`,
    })
  }
}
