import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import type { Session } from '../session/session.ts'

/** Whether a session answers now. */
export async function probe(session: Session): Promise<'alive' | 'silent' | 'closing'> {
  return session.ping({ timeoutMs: probeTimeoutMs }).then(
    () => 'alive',
    (error: unknown) =>
      error instanceof SpacedockError && error.code === 'timed-out' ? 'silent' : 'closing',
  )
}

/** Ends a session that is silent, with its connection unless that is `living`, known to be alive. */
export function endSilent(session: Session, living: Connection | undefined): void {
  const silent = new SpacedockError('offline', 'The device did not answer.')
  session.abort(silent)
  if (session.connection !== living) session.connection.abort(silent)
}

const probeTimeoutMs = 2_000
