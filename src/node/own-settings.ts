import { hostname } from 'node:os'
import type { Log } from '../api.ts'
import { chooseListenPort, isPortFree } from '../network/listen-port.ts'
import { maxNameLength, sanitizeDeviceName } from '../pairing/device-name.ts'
import type { Settings } from '../store/settings.ts'

/** Keeps the name that was given; the first time, without one, the machine's. */
export function chooseName(settings: Settings, given: string | undefined): void {
  const kept = settings.get().name
  const name = given ?? kept ?? hostname().split('.')[0]?.slice(0, maxNameLength) ?? ''
  const sanitized = sanitizeDeviceName(name)
  if (sanitized !== kept) settings.update({ name: sanitized })
}

/** A port that was asked for must be free; one that was chosen here is exchanged for this run when it is not. */
export async function choosePort(settings: Settings, given: number | undefined, log: Log): Promise<number> {
  if (given !== undefined) return given
  const kept = settings.get().port
  if (kept === null) {
    const port = await chooseListenPort()
    if (port > 0) settings.update({ port })
    return port
  }
  if (await isPortFree(kept, '0.0.0.0')) return kept
  log('warn', 'node.port-busy', { port: kept })
  return chooseListenPort()
}
