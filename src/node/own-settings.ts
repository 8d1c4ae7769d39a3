import { hostname } from 'node:os'
import type { Log } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { chooseRandomPort, defaultListenPort, isPortFree } from '../network/transport/listen-port.ts'
import { maxNameLength, sanitizeDeviceName } from '../pairing/device-name.ts'
import type { Settings } from '../store/settings.ts'

/** Keeps the name that was given; the first time, without one, the computer's. */
export function chooseName(settings: Settings, given: string | undefined): void {
  const kept = settings.get().name
  const name = given ?? kept ?? hostname().split('.')[0]?.slice(0, maxNameLength) ?? ''
  const sanitized = sanitizeDeviceName(name)
  if (sanitized !== kept) settings.update({ name: sanitized })
}

/**
 * Listens on the port that was asked for, else on the one that this device has had since its first start: the usual one, or a
 * random one where another device on this computer, or another program, has that. When it is taken today, on another one for this
 * run. Rejects as `listen` does.
 */
export async function withPort<Host>(
  settings: Settings,
  { given, isLocal, log }: PortOptions,
  listen: (port: number) => Promise<Host>,
): Promise<Host> {
  if (given !== undefined) return listen(given)
  const kept = settings.get().port
  for (let attempt = 1; ; attempt++) {
    const port = attempt === 1 ? await preferredPort(kept, { isLocal, log }) : await chooseRandomPort()
    try {
      const host = await listen(port)
      if (kept === null && port > 0) settings.update({ port })
      return host
    } catch (error) {
      // Another program has taken it since it was looked at, such as another device that starts at the same moment.
      const isTaken = error instanceof SpacedockError && error.code === 'port-taken'
      if (!isTaken || attempt === maxAttempts) throw error
    }
  }
}

export interface PortOptions {
  /** Port that was asked for. */
  given: number | undefined
  /** Whether nobody but this computer reaches it: there is no firewall to be opened, and others may want the usual port. */
  isLocal: boolean
  log: Log
}

const maxAttempts = 5

async function preferredPort(
  kept: number | null,
  { isLocal, log }: Pick<PortOptions, 'isLocal' | 'log'>,
): Promise<number> {
  if (kept === null && isLocal) return chooseRandomPort()
  const port = kept ?? defaultListenPort
  if (await isPortFree(port, '0.0.0.0')) return port
  if (kept !== null) log('warn', 'node.port-busy', { port })
  return chooseRandomPort()
}
