import type { DeviceInfo } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { editDistance } from '../pairing/edit-distance.ts'
import { nameKey } from './name-choice.ts'

/**
 * Finds the device that a person means: the exact id, else the exact name (in any case), else the only one whose id or name
 * starts so. Revoked devices are looked at only when no other fits.
 *
 * Errors: `no-device`, `ambiguous-device`.
 */
export function findDevice(reference: string, devices: DeviceInfo[]): DeviceInfo {
  const key = nameKey(reference.trim())
  const trusted = devices.filter(({ state }) => state !== 'revoked')
  const revoked = devices.filter(({ state }) => state === 'revoked')
  const found = key === '' ? [] : (matches(key, trusted) ?? matches(key, revoked) ?? [])
  const [first, ...others] = found
  if (first === undefined) throw noDevice(reference, trusted)
  if (others.length > 0) throw ambiguous(reference, found)
  return first
}

function matches(key: string, devices: DeviceInfo[]): DeviceInfo[] | undefined {
  const rules: ((device: DeviceInfo) => boolean)[] = [
    ({ id }) => id === key,
    ({ name }) => nameKey(name) === key,
    ({ id, name }) => id.startsWith(key) || nameKey(name).startsWith(key),
  ]
  return rules.map((rule) => devices.filter(rule)).find(({ length }) => length > 0)
}

function ambiguous(reference: string, devices: DeviceInfo[]): SpacedockError {
  const candidates = devices.slice(0, 5).map(({ name, id }) => `${name} (${id})`)
  if (devices.length > candidates.length) candidates.push('...')
  return new SpacedockError('ambiguous-device', `More than one device fits ${JSON.stringify(reference)}.`, {
    hint: `Write more of the name or the id: ${candidates.join(', ')}.`,
  })
}

function noDevice(reference: string, devices: DeviceInfo[]): SpacedockError {
  const key = nameKey(reference.trim()).slice(0, 64)
  const nearest = devices
    .map(({ name }) => ({ name, distance: editDistance(key, nameKey(name)) }))
    .sort((a, b) => a.distance - b.distance)
  const names = nearest.slice(0, 5).map(({ name }) => name)
  const more = nearest.length > names.length ? ', ...' : ''
  const hint =
    names.length > 0
      ? `The paired devices are: ${names.join(', ')}${more}.`
      : 'Pair one first: none is paired yet.'
  return new SpacedockError(
    'no-device',
    `No paired device is called ${JSON.stringify(reference.slice(0, 64))}.`,
    { hint, choices: names },
  )
}
