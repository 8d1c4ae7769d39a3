import type { Notice } from '../api.ts'
import type { Result } from '../daemon/daemon-api.ts'
import type { DaemonMetrics } from '../daemon/prometheus.ts'
import { printableLine } from '../daemon/printable.ts'
import { version } from '../version.ts'
import { describeDuration } from './durations.ts'

type Status = Result<'status'>

/** Text of `status` for people. */
export function statusText(found: Status): string {
  const rows = [
    ['name', found.name],
    ['id', found.id],
    ['peer id', found.peerId],
    ['devices', String(found.devices)],
    ['listens', found.listen.length === 0 ? 'nowhere' : (found.listen[0] ?? '')],
    ...found.listen.slice(1).map((address) => ['', address]),
    ...(found.inbox === undefined ? [] : [['inbox', inboxText(found.inbox)]]),
    ...(found.publicNetwork ? [['DHT', publicNetworkText(found.publicNetwork)]] : []),
    ['running', `for ${describeDuration(found.uptimeMs)}, pid ${found.pid}, version ${found.version}`],
    // Counters of another version may have another meaning.
    ...(found.metrics === undefined || found.version !== version ? [] : counterRows(found.metrics)),
    ...(found.metricsUrl === undefined || found.metricsUrl === null ? [] : [['metrics', found.metricsUrl]]),
    ...(found.log === undefined ? [] : [['log', found.log ?? 'standard error of its process']]),
  ]
  const notices = (found.notices ?? []).map((notice) => noticeText(notice))
  const lines = rows.map(([label = '', value = '']) => `${label.padEnd(10)}${printableLine(value)}`)
  return [...notices, ...lines].join('\n')
}

/** Line about a matter that a person should know of; names in it come from other computers. */
export function noticeText({ message, hint }: Pick<Notice, 'message' | 'hint'>): string {
  return printableLine(`Attention: ${message} ${hint}`)
}

function inboxText({ messages, bytes, fullFor }: NonNullable<Status['inbox']>): string {
  const amount = `${counted(messages, 'message')}, ${describeBytes(bytes)}`
  if (fullFor.length === 0) return amount
  const names = fullFor.map(({ name }) => `"${name}"`).join(', ')
  return `${amount}; no room for more of ${names}: "spacedock inbox --clear" makes room`
}

function publicNetworkText({ nodes, relays }: NonNullable<Status['publicNetwork']>): string {
  return `public: ${counted(nodes, 'node')}, ${counted(relays.length, 'relay')}`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** Rows of counters since the start; nothing about what never happened. */
function counterRows({ sessions, messages, bytes, defects }: DaemonMetrics): string[][] {
  const { direct, relayed } = sessions.open
  const overTls = sessions.overTls === 0 ? '' : ` (${sessions.overTls} over TLS)`
  const { sent, delivered, received, queued, expired, dropped } = messages
  const lost = `${expired === 0 ? '' : `, ${expired} expired`}${dropped === 0 ? '' : `, ${dropped} dropped`}`
  const traffic = `${describeBytes(bytes.received)} in, ${describeBytes(bytes.sent)} out`
  return [
    [
      'connected',
      direct + relayed === 0 ? 'to none' : `${direct} direct${overTls}, ${relayed} relayed; ${traffic}`,
    ],
    ['messages', `${sent} sent, ${delivered} delivered, ${received} received, ${queued} waiting${lost}`],
    ...(defects === 0 ? [] : [['defects', `${defects} survived; please report them, with the log`]]),
  ]
}

/** Formats bytes as `812 B`, `3.4 kB`, `120 MB`: powers of 1000, two or three digits. */
function describeBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
