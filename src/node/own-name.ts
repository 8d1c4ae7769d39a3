import { hostname } from 'node:os'
import { maxNameLength, sanitizeDeviceName } from '../pairing/device-name.ts'
import type { Settings } from '../store/settings.ts'

/** Keeps the name that was given; the first time, without one, the machine's. */
export function chooseName(settings: Settings, given: string | undefined): void {
  const kept = settings.get().name
  const name = given ?? kept ?? hostname().split('.')[0]?.slice(0, maxNameLength) ?? ''
  const sanitized = sanitizeDeviceName(name)
  if (sanitized !== kept) settings.update({ name: sanitized })
}
