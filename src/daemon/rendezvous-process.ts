import { addAbortListener } from 'node:events'
import { join } from 'node:path'
import type { Log } from '../api.ts'
import { createRendezvousServer, type RendezvousServer } from '../network/relay/rendezvous-server.ts'
import { prepareDataDirectory } from '../store/data-directory.ts'
import { loadOrCreateIdentity } from '../store/identity.ts'
import { acquireLock } from '../store/lock.ts'
import { SpacedockError } from '../errors.ts'
import { version } from '../version.ts'
import { Defects } from './defects.ts'

export interface RendezvousOptions {
  /** Directory in which its own identity has a directory of its own, so that a device may use the same one. */
  dataDir: string
  port: number
  interfaces: string[] | undefined
  announce: readonly string[]
  others: readonly string[]
  maxReservations: number | undefined
  log: Log
  /** Aborts when the node is to end. */
  signal: AbortSignal
  onListening: (server: RendezvousServer) => void
}

/**
 * Runs a rendezvous node in this process: resolves when the signal has aborted and it has been stopped. Rejects with a
 * SpacedockError when it cannot start. It keeps nothing but its identity: records come again within minutes, and devices take
 * their places anew as soon as it is back.
 */
export async function runRendezvous(options: RendezvousOptions): Promise<void> {
  const { log, signal } = options
  const directory = prepareDataDirectory(join(options.dataDir, 'rendezvous'))
  const lock = acquireLock(directory)
  const tooMany = new AbortController()
  const defects = new Defects({ log, program: 'rendezvous', onTooMany: () => tooMany.abort() })
  try {
    const { port, interfaces, announce, others, maxReservations } = options
    const server = await createRendezvousServer({
      seed: loadOrCreateIdentity(directory).seed,
      port,
      interfaces,
      announce,
      others,
      ...(maxReservations === undefined ? {} : { relay: { reservations: maxReservations } }),
      agent: `spacedock-rendezvous/${version}`,
      log,
    })
    try {
      options.onListening(server)
      const telling = setInterval(() => log('info', 'rendezvous.usage', server.usage()), usageIntervalMs)
      await aborted(AbortSignal.any([signal, tooMany.signal]))
      clearInterval(telling)
    } finally {
      await server.stop()
    }
    if (tooMany.signal.aborted && !signal.aborted) throw tooManyDefects()
  } finally {
    defects.stop()
    lock.release()
  }
}

const usageIntervalMs = 10 * 60_000

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void addAbortListener(signal, () => resolve()))
}

function tooManyDefects(): SpacedockError {
  return new SpacedockError('internal', 'The rendezvous node met too many defects of its own.', {
    hint: 'Start it again, and please report them, with its log.',
  })
}
