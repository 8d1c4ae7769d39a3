import type { Log, LogLevel } from '../api.ts'
import { printableJson } from './printable.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[]

export const defaultLogLevel = 'info'

export interface LogOptions {
  /** Returns the least level that is written. May change while the log is in use. @default 'info' */
  level?: () => LogLevel
  /** Source of time. @default Date.now */
  wallClock?: () => number
}

/**
 * Writes a log of one JSON object a line: time, level, event and the event's own fields.
 *
 * It cannot hold secrets by accident: only plain scalars and short lists of them are written, bytes and objects never are, fields
 * whose name says that they carry a secret or a person's text are replaced, and so is any string that looks like twelve words or
 * more, a pairing URI or a key (threat 35).
 */
export function createLog(
  write: (line: string) => void,
  { level: least = () => defaultLogLevel, wallClock = Date.now }: LogOptions = {},
): Log {
  return (level: LogLevel, event: string, fields: Record<string, unknown> = {}) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least())) return
    const entry: Record<string, unknown> = {
      time: new Date(wallClock()).toISOString(),
      level,
      event: text(event),
    }
    for (const [name, value] of Object.entries(fields)) {
      if (!(name in entry)) entry[name] = secretNames.has(name.toLowerCase()) ? redacted : loggable(value)
    }
    write(`${printableJson(entry)}\n`)
  }
}

const redacted = '[redacted]'
const longestText = 500
const longestList = 20

const secretNames = new Set(
  [
    'words word uri entropy pairingcode invitation mnemonic',
    'key keys pairkey privatekey secret secrets seed token proof proofs digits',
    'text json content body payload',
  ].flatMap((names) => names.split(' ')),
)

function loggable(value: unknown): unknown {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return value
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string') return text(value)
  if (value instanceof Error) return describeError(value)
  if (Array.isArray(value)) {
    return value
      .slice(0, longestList)
      .map((item: unknown) => (typeof item === 'string' ? text(item) : scalar(item)))
  }
  return '[omitted]'
}

function scalar(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : '[omitted]'
}

/** Describes an error with its place, which is worth more than all else in a defect's report, and holds no values. */
function describeError(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  const [, ...frames] = (error.stack ?? '').split(/\n(?=\s+at )/u)
  const where = frames.slice(0, 8).map((frame) => frame.trim())
  return text(`${error.name}${code}: ${error.message}`) + (where.length > 0 ? ` ${where.join(' ')}` : '')
}

function text(value: string): string {
  const safe = value
    .replaceAll(/spacedock:[^\s"']+/giu, redacted)
    .replaceAll(/(?:\b[a-z]{3,8}\b[\s,-]+){11,}[a-z]{3,8}\b/giu, redacted)
    .replaceAll(/\b[0-9a-f]{64,}\b/giu, redacted)
  return safe.length > longestText ? `${safe.slice(0, longestText)}…` : safe
}
