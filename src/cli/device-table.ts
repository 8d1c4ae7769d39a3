import type { DeviceInfo } from '../api.ts'
import { printableLine } from '../daemon/printable.ts'
import { describeTiming } from './durations.ts'

/** Gives the padded name of a state its colour. */
export type PaintState = (padded: string, state: string) => string

/** Table of devices, one line each, in columns. Names come from other computers: they are made printable here. */
export function deviceTable(
  devices: readonly DeviceInfo[],
  now: Date,
  paintState: PaintState = unpainted,
): string {
  const rows = devices.map((device) => [
    printableLine(device.name),
    shownState(device.state),
    device.limited ? `${device.path}, limited` : (device.path ?? ''),
    printableLine(device.id),
    device.state === 'connected' ? connection(device, now) : absence(device, now),
  ])
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => displayWidth(row[column] ?? ''))))
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const padded = cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)))
        return column === 1 ? paintState(padded, cell) : padded
      })
      return cells.join('  ').trimEnd()
    })
    .join('\n')
}

/** Remedies for devices that are away, a line for each of which one is known; empty when there is none. */
export function deviceRemedies(devices: readonly DeviceInfo[]): string {
  return devices
    .flatMap(({ name, state, lastFailure }) => {
      const hint = shownState(state) === 'disconnected' ? (lastFailure?.hint ?? null) : null
      return hint === null ? [] : [`${printableLine(name)}: ${printableLine(hint)}`]
    })
    .join('\n')
}

export type ShownState = 'connected' | 'disconnected' | 'needs-pairing' | 'revoked'

/** State that decides on the remedy and nothing more. */
export function shownState(state: DeviceInfo['state']): ShownState {
  switch (state) {
    case 'connected':
    case 'needs-pairing':
    case 'revoked':
      return state
    case 'discovered':
    case 'pairing':
    case 'paired':
    case 'disconnected':
      return 'disconnected'
  }
}

/** Number of columns that a terminal uses: two for East Asian wide characters and emoji, none for what combines. */
export function displayWidth(text: string): number {
  let width = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) width += wide.test(segment) ? 2 : 1
  return width
}

const wide =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

function connection({ address, roundTripMs, connectedSince }: DeviceInfo, now: Date): string {
  return [
    shortAddress(address ?? ''),
    ...(roundTripMs === null ? [] : [describeTiming(roundTripMs)]),
    ...(connectedSince === null ? [] : [`since ${briefTime(connectedSince, now)}`]),
  ].join(', ')
}

function absence({ lastSeen, lastFailure, needsPairing, state }: DeviceInfo, now: Date): string {
  if (needsPairing === 'revoked') return 'has ended the pairing'
  if (state === 'revoked') return 'you have ended the pairing'
  if (needsPairing === 'unknown') return 'does not know this device any more'
  const seen = lastSeen === null ? 'never seen' : `seen ${briefTime(lastSeen, now)}`
  if (lastFailure === null || shownState(state) !== 'disconnected') return seen
  return `${seen}; ${printableLine(lastFailure.message)}`
}

/** Formats a time without the day when it is less than one ago. */
function briefTime(at: string, now: Date): string {
  const days = Math.floor((now.getTime() - new Date(at).getTime()) / 86_400_000)
  return days < 1 ? localTime(at).slice(11) : localTime(at)
}

/** Formats as `2026-11-22 20:41` in the time zone of this computer; a text that is no date stays as it came. */
export function localTime(at: string): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return printableLine(at)
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`
  return `${day} ${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`
}

function unpainted(padded: string): string {
  return padded
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** Shortens to the IP address and port that people know; the table need not show the rest of a multiaddr. */
export function shortAddress(address: string): string {
  const found = /^\/(?<family>ip4|ip6)\/(?<host>[^/]+)\/tcp\/(?<port>\d+)/u.exec(address)
  if (found?.groups === undefined) return printableLine(address)
  const { family, host = '', port = '' } = found.groups
  return printableLine(family === 'ip6' ? `[${host}]:${port}` : `${host}:${port}`)
}
