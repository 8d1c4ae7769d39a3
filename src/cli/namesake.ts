import type { DeviceInfo } from '../api.ts'
import { printableLine } from '../daemon/printable.ts'
import { isNumberedName, numberOf } from '../store/name-choice.ts'
import type { CommandContext } from './command.ts'
import { brief } from './commands/devices.ts'

/**
 * Finds the device, away now, whose name a new one would otherwise have. It may be the same one before it lost its data: then it
 * will never be seen again, and stands in the way of its own name.
 */
export function namesakeOf(device: DeviceInfo, devices: readonly DeviceInfo[]): DeviceInfo | undefined {
  return devices.find(
    ({ peerId, name, state }) =>
      peerId !== device.peerId &&
      state !== 'connected' &&
      state !== 'revoked' &&
      isNumberedName(device.name, name),
  )
}

/** Hints, after a pairing, at how the new device can have the name of the one that it takes the place of. */
export async function hintAtNamesake(
  { daemon, output }: Pick<CommandContext, 'daemon' | 'output'>,
  device: DeviceInfo,
): Promise<void> {
  // It has the name that it wanted: nobody need be asked.
  if (numberOf(device.name) === null) return
  let namesake: DeviceInfo | undefined
  try {
    const { devices } = await daemon.call('devices', {})
    namesake = namesakeOf(device, devices)
  } catch {
    // The two are paired, even if the daemon has failed since.
  }
  if (namesake === undefined) return
  const [name, old] = [printableLine(device.name), printableLine(namesake.name)]
  output.progress(
    { event: 'namesake', device: brief(device), namesake: brief(namesake) },
    `"${old}" is not connected. If that was this device before it lost its data, let "${name}" have the name:\n` +
      `  spacedock revoke ${shellWord(old)}\n  spacedock rename ${shellWord(name)} ${shellWord(old)}`,
  )
}

/** Quotes one word for a shell, which sees no more in it than the name: another device has chosen that. */
export function shellWord(text: string): string {
  if (/^[\p{L}\p{N}_.][\p{L}\p{N}_.-]*$/u.test(text)) return text
  if (/^[\p{L}\p{N}_. ()-]+$/u.test(text)) return `"${text}"`
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
