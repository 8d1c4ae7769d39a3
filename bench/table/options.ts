import { parseArgs } from 'node:util'
import { quickSizes, usualSizes, type Sizes } from './jobs/job.ts'
import { rows } from './rows.ts'

export interface Options {
  rows: readonly string[]
  rounds: number
  sizes: Sizes
  /** File for the figures of every round. */
  json: string
  /** Commit to compare with; null: measure beside the baselines. */
  compare: string | null
}

/** Reads the arguments. Throws an error whose message says what to write instead. */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      rows: { type: 'string' },
      megabytes: { type: 'string' },
      json: { type: 'string', default: 'bench.json' },
      compare: { type: 'string' },
    },
  })
  const sizes = values.quick ? quickSizes : usualSizes
  const megabytes = wholeNumber('--megabytes', values.megabytes, sizes.bulkBytes / 2 ** 20, 65_536)
  return {
    rows: values.rows === undefined ? rows.map(({ id }) => id) : chosenRows(values.rows),
    rounds: wholeNumber('--rounds', values.rounds, values.quick ? 2 : 5, 1_000),
    sizes: { ...sizes, bulkBytes: megabytes * 2 ** 20 },
    json: values.json,
    compare: values.compare ?? null,
  }
}

function chosenRows(text: string): string[] {
  const chosen = text.split(',').map((name) => name.trim())
  const unknown = chosen.find((name) => !rows.some(({ id }) => id === name))
  if (unknown === undefined) return chosen
  throw new RangeError(`There is no row "${unknown}"; there are ${rows.map(({ id }) => id).join(', ')}.`)
}

function wholeNumber(option: string, text: string | undefined, usual: number, most: number): number {
  const number = text === undefined ? usual : Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= most) return number
  throw new RangeError(`${option} takes a whole number from 1 to ${most}.`)
}
