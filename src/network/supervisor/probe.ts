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

/** Ends a session that is silent, as `endDead` does. */
export function endSilent(session: Session, living: Connection | undefined): void {
  endDead(session, living, new SpacedockError('offline', 'The device did not answer.'))
}

/** Ends a session at whose other end nobody is, with its connection unless that is `living`, known to be alive. */
export function endDead(session: Session, living: Connection | undefined, why: SpacedockError): void {
  session.abort(why)
  if (session.connection !== living) session.connection.abort(why)
}

const probeTimeoutMs = 2_000
