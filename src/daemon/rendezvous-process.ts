import { addAbortListener } from 'node:events'
import { join } from 'node:path'
import type { Log } from '../api.ts'
import { createRendezvousServer, type RendezvousServer } from '../network/relay/rendezvous-server.ts'
import { withRelaySecret } from '../network/addresses/rendezvous-address.ts'
import type { RelayAdmission } from '../network/relay/relay-access.ts'
import { loadOrCreateRelaySecret } from '../store/relay-secret.ts'
import { prepareDataDirectory } from '../store/data-directory.ts'
import { loadOrCreateIdentity } from '../store/identity.ts'
import { acquireLock } from '../store/lock.ts'
import { SpacedockError } from '../errors.ts'
import { parsePeerId } from '../libp2p-peer.ts'
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
  /** Peer ids of the devices that get a place at the relay; none for whoever proves its secret. */
  only: readonly string[]
  /** Whether anybody gets a place. */
  isOpen: boolean
  log: Log
  /** Aborts when the node is to end. */
  signal: AbortSignal
  /** Called with the addresses that devices are given. */
  onListening: (server: RendezvousServer, addresses: readonly string[]) => void
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
    const admission = admissionOf(options, directory)
    const server = await createRendezvousServer({
      admission,
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
      const addresses = server.addresses()
      const { onListening } = options
      if (admission.kind !== 'secret') onListening(server, addresses)
      else
        onListening(
          server,
          addresses.map((address) => withRelaySecret(address, admission.secret)),
        )
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

function admissionOf(
  { only, isOpen, maxReservations }: RendezvousOptions,
  directory: string,
): RelayAdmission {
  if (maxReservations === 0 && (isOpen || only.length > 0))
    throw new SpacedockError('invalid-argument', 'With --max-devices 0 there is no relay to use.', {
      hint: 'Leave out --max-devices, or --open and --only.',
    })
  if (isOpen && only.length > 0)
    throw new SpacedockError(
      'invalid-argument',
      'The relay is open to anybody, or to those named by --only.',
      {
        hint: 'Leave out one of --open and --only.',
      },
    )
  const wrong = only.find((peer) => parsePeerId(peer) === null)
  if (wrong !== undefined)
    throw new SpacedockError('invalid-argument', `The text "${wrong}" is no peer id.`, {
      hint: 'It looks like 12D3KooW...; `spacedock status` on the device shows its own.',
    })
  // Without a relay there is nothing that a secret would be of use for.
  if (isOpen || maxReservations === 0) return { kind: 'open' }
  if (only.length > 0) return { kind: 'only', peers: new Set(only) }
  return { kind: 'secret', secret: loadOrCreateRelaySecret(directory) }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void addAbortListener(signal, () => resolve()))
}

function tooManyDefects(): SpacedockError {
  return new SpacedockError('internal', 'The rendezvous node met too many defects of its own.', {
    hint: 'Start it again, and please report them, with its log.',
  })
}
