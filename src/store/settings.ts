import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import type { Database } from './database.ts'
import { databaseDamaged } from './storage-error.ts'

export interface SettingValues {
  /** This device's own name, as other screens show it; null until one was chosen. */
  name: string | null
  /** The TCP port to listen on; null until one was chosen. */
  port: number | null
}

export interface Settings {
  get(): SettingValues
  /** Changes what is given and leaves the rest; durable on return. Error: `invalid-argument`. */
  update(values: Partial<SettingValues>): void
}

const valuesSchema = v.object({
  name: v.nullable(v.pipe(v.string(), v.nonEmpty(), v.maxLength(256))),
  port: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
})
const storedSchema = v.pipe(v.string(), v.parseJson(), valuesSchema)

/** Error: `database-damaged`. */
export function openSettings(database: Database): Settings {
  const read = database.query(
    `SELECT value FROM settings WHERE name = 'device'`,
    v.object({ value: v.string() }),
  )
  const write = database.command(`INSERT OR REPLACE INTO settings VALUES ('device', ?)`)
  const row = read.get()
  let values: SettingValues = { name: null, port: null }
  if (row !== undefined) {
    const stored = v.safeParse(storedSchema, row.value)
    if (!stored.success) throw databaseDamaged('its settings cannot be read')
    values = stored.output
  }
  return {
    get: () => ({ ...values }),
    update(changes) {
      const next = v.safeParse(valuesSchema, { ...values, ...changes })
      if (!next.success)
        throw new SpacedockError('invalid-argument', 'This name or this port cannot be a setting.')
      write.run(JSON.stringify(next.output))
      values = next.output
    },
  }
}
