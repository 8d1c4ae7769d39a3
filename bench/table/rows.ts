import { linkRows, links } from './links.ts'

/** Rows of the table, in their order, and what the figures should be. Data only: the jobs measure, the table prints. */

export interface Row {
  id: string
  title: string
  unit: string
  better: 'less' | 'more'
  group: Group
}

/** What `--rows` takes, besides rows. */
export const groups = ['speed', 'links', 'scale'] as const
export type Group = (typeof groups)[number]

export interface Goal {
  row: string
  subject: string
  /** Bound of the figure itself, or of its ratio to that of another subject in the same round. */
  limit: number
  of?: string
}

const speed: readonly Omit<Row, 'group'>[] = [
  { id: 'round-trip-32', title: 'round trip, 32 B, p50', unit: 'us', better: 'less' },
  { id: 'in-flight-32', title: '64 in flight, 32 B', unit: 'a second', better: 'more' },
  { id: 'in-flight-1024', title: '64 in flight, 1 KiB', unit: 'a second', better: 'more' },
  { id: 'bulk', title: 'bulk', unit: 'MB/s', better: 'more' },
  { id: 'cpu-sender', title: 'processor, sender', unit: 's/GiB', better: 'less' },
  { id: 'cpu-receiver', title: 'processor, receiver', unit: 's/GiB', better: 'less' },
  { id: 'memory-sender', title: 'peak memory, sender', unit: 'MiB', better: 'less' },
  { id: 'memory-receiver', title: 'peak memory, receiver', unit: 'MiB', better: 'less' },
  { id: 'durable', title: 'durable send, one after the other, p50', unit: 'ms', better: 'less' },
  { id: 'pairing', title: 'pairing by the library, both up', unit: 'ms', better: 'less' },
  { id: 'join', title: 'join by the command, daemon up', unit: 'ms', better: 'less' },
  { id: 'join-cold', title: 'join by the command, no daemon', unit: 'ms', better: 'less' },
  { id: 'start', title: 'start to ready', unit: 'ms', better: 'less' },
  { id: 'idle-memory', title: 'memory when idle', unit: 'MiB', better: 'less' },
  { id: 'install-size', title: 'install', unit: 'MiB', better: 'less' },
  { id: 'install-packages', title: 'packages of it', unit: '', better: 'less' },
]

const scale: readonly Omit<Row, 'group'>[] = [
  { id: 'paired-memory', title: 'memory, paired devices idle', unit: 'MiB', better: 'less' },
  { id: 'paired-cpu', title: 'processor, paired devices idle', unit: 's a minute', better: 'less' },
  { id: 'paired-packets', title: 'packets of each of them', unit: 'a minute', better: 'less' },
  { id: 'pairings-at-once', title: 'pairings at once, each', unit: 'ms', better: 'less' },
  { id: 'pairings-memory', title: 'peak memory with them', unit: 'MiB', better: 'less' },
  { id: 'queue-write', title: 'messages for absent devices', unit: 'a second', better: 'more' },
  { id: 'queue-deliver', title: 'delivered when they are back', unit: 'a second', better: 'more' },
  { id: 'queue-memory', title: 'peak memory of the sender', unit: 'MiB', better: 'less' },
  { id: 'inbox-start', title: 'start with a full inbox', unit: 'ms', better: 'less' },
  { id: 'inbox-memory', title: 'memory then', unit: 'MiB', better: 'less' },
  { id: 'inbox-list', title: 'listing it', unit: 'ms', better: 'less' },
  { id: 'inbox-read', title: 'reading it one by one', unit: 'ms', better: 'less' },
]

export const rows: readonly Row[] = [
  ...speed.map((row) => ({ ...row, group: 'speed' as const })),
  ...scale.map((row) => ({ ...row, group: 'scale' as const })),
  ...links.flatMap((link) => linkRows(link).map((row) => ({ ...row, group: 'links' as const }))),
]

export const goals: readonly Goal[] = [
  { row: 'round-trip-32', subject: 'spacedock-stream', limit: 1.6, of: 'raw-tcp' },
  { row: 'round-trip-32', subject: 'spacedock-request', limit: 2, of: 'raw-tcp' },
  { row: 'in-flight-32', subject: 'spacedock-stream', limit: 1.2, of: 'raw-tcp' },
  { row: 'in-flight-32', subject: 'spacedock-request', limit: 0.5, of: 'raw-tcp' },
  { row: 'in-flight-1024', subject: 'spacedock-stream', limit: 0.8, of: 'raw-tcp' },
  { row: 'in-flight-1024', subject: 'spacedock-request', limit: 0.4, of: 'raw-tcp' },
  { row: 'bulk', subject: 'spacedock-stream', limit: 0.6, of: 'raw-tcp' },
  { row: 'cpu-sender', subject: 'spacedock-stream', limit: 1.5 },
  { row: 'cpu-receiver', subject: 'spacedock-stream', limit: 2 },
  { row: 'memory-sender', subject: 'spacedock-stream', limit: 128 },
  { row: 'memory-receiver', subject: 'spacedock-stream', limit: 128 },
  // At least 0.6 of the rate of the disk alone.
  { row: 'durable', subject: 'spacedock-send', limit: 1.67, of: 'disk-alone' },
  { row: 'pairing', subject: 'spacedock-library', limit: 40 },
  { row: 'join', subject: 'spacedock-command', limit: 80 },
  { row: 'join-cold', subject: 'spacedock-command', limit: 225 },
  { row: 'start', subject: 'spacedock-library', limit: 250 },
  { row: 'start', subject: 'spacedock-daemon', limit: 200 },
  { row: 'idle-memory', subject: 'spacedock-library', limit: 65 },
  { row: 'idle-memory', subject: 'spacedock-daemon', limit: 65 },
  { row: 'install-size', subject: 'spacedock-package', limit: 30 },
]

/** Subject by which the others of a row are divided. */
export const references: Readonly<Record<string, string>> = {
  ...Object.fromEntries(links.flatMap((link) => linkRows(link).map(({ id }) => [id, 'raw-tcp']))),
  'round-trip-32': 'raw-tcp',
  'in-flight-32': 'raw-tcp',
  'in-flight-1024': 'raw-tcp',
  bulk: 'raw-tcp',
  'cpu-sender': 'raw-tcp',
  'cpu-receiver': 'raw-tcp',
  durable: 'disk-alone',
  start: 'node',
}

/** Neighbours that are not measured, each with the reason: the table ends with them. */
export const notMeasured: Readonly<Record<string, string>> = {
  'magic-wormhole': 'it needs a mailbox server of its own, which its package does not bring.',
}
