import { parseArgs } from 'node:util'
import { quickSizes, usualSizes, type Sizes } from './jobs/job.ts'
import { groups, rows } from './rows.ts'

export interface Options {
  rows: readonly string[]
  rounds: number
  sizes: Sizes
  /** File for the figures of every round. */
  json: string
  /** Whether neighbours that are missing are installed. */
  neighbours: boolean
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
      neighbours: { type: 'boolean', default: false },
      devices: { type: 'string' },
      'idle-seconds': { type: 'string' },
      compare: { type: 'string' },
    },
  })
  const sizes = values.quick ? quickSizes : usualSizes
  const megabytes = wholeNumber('--megabytes', values.megabytes, sizes.bulkBytes / 2 ** 20, 65_536)
  const idleSeconds = wholeNumber(
    '--idle-seconds',
    values['idle-seconds'],
    sizes.pairedIdleMs / 1_000,
    86_400,
  )
  const devices =
    values.devices?.split(',').map((text) => wholeNumber('--devices', text, 1, 10_000)) ?? sizes.devices
  return {
    rows: values.rows === undefined ? rows.map(({ id }) => id) : chosenRows(values.rows),
    rounds: wholeNumber('--rounds', values.rounds, values.quick ? 2 : 5, 1_000),
    sizes: { ...sizes, bulkBytes: megabytes * 2 ** 20, devices, pairedIdleMs: idleSeconds * 1_000 },
    json: values.json,
    neighbours: values.neighbours,
    compare: values.compare ?? null,
  }
}

/** Groups, and the rows of those that have few. */
const rowNames = [...groups, ...rows.flatMap(({ id, group }) => (group === 'links' ? [] : [id]))]

function chosenRows(text: string): string[] {
  return text.split(',').flatMap((name) => {
    const chosen = rows.filter(({ id, group }) => id === name.trim() || group === name.trim())
    if (chosen.length > 0) return chosen.map(({ id }) => id)
    throw new RangeError(`There is no row "${name}"; there are ${rowNames.join(', ')}.`)
  })
}

function wholeNumber(option: string, text: string | undefined, usual: number, most: number): number {
  const number = text === undefined ? usual : Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= most) return number
  throw new RangeError(`${option} takes a whole number from 1 to ${most}.`)
}
