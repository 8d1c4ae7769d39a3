import { SpacedockError, type ErrorCode } from '../errors.ts'
import { describeCause, describeFinding } from '../finding-text.ts'
import type { JoinFailure } from '../pairing/joiner-state.ts'
import type { PairingObserver } from './pairing-components.ts'

type Role = 'initiator' | 'joiner'

/** Message for the person at each side, and what to do about it. */
interface Told {
  message: string
  hint: string
  /** See `SpacedockError.option`. */
  option?: 'peers'
}

const again: Record<Role, string> = {
  initiator: 'Try again with a new code.',
  joiner: 'Try again with a new code from the other device.',
}

const failures: Record<JoinFailure, { code: ErrorCode } & Record<Role, Told>> = {
  declined: {
    code: 'declined',
    initiator: { message: 'The pairing was declined.', hint: again.initiator },
    joiner: { message: 'The pairing was declined.', hint: again.joiner },
  },
  used: {
    code: 'used',
    initiator: { message: 'This code has already paired a device.', hint: again.initiator },
    joiner: {
      message: 'This code has already paired another device.',
      hint: 'If that one is not yours, find it among the devices of the one that showed the code, and revoke it.',
    },
  },
  expired: {
    code: 'expired',
    initiator: { message: 'The code expired before a device used it.', hint: again.initiator },
    joiner: { message: 'This code has expired.', hint: again.joiner },
  },
  cancelled: {
    code: 'cancelled',
    initiator: { message: 'The pairing was cancelled.', hint: again.initiator },
    joiner: { message: 'The pairing was cancelled.', hint: again.joiner },
  },
  burnt: {
    code: 'burnt',
    initiator: {
      message: 'Somebody who knows the code tried to misuse it, so it was made void.',
      hint: `Make sure that nobody else sees the words. ${again.initiator}`,
    },
    joiner: {
      message: 'The code was made void, because somebody who knows it tried to misuse it.',
      hint: `Make sure that nobody else sees the words. ${again.joiner}`,
    },
  },
  failed: {
    code: 'interrupted',
    initiator: { message: 'The pairing could not be saved.', hint: again.initiator },
    joiner: {
      message: 'The other device could not save the pairing.',
      hint: 'Its screen says why; correct that, then pair again.',
    },
  },
  'persist-failed': {
    code: 'interrupted',
    initiator: { message: 'The pairing could not be saved.', hint: again.initiator },
    joiner: { message: 'The pairing could not be saved.', hint: again.joiner },
  },
  'not-found': {
    code: 'not-found',
    initiator: { message: 'No device used this code.', hint: again.initiator },
    joiner: {
      message: 'No device that shows this code was found.',
      hint: 'Check that the other device still shows it and is on the same network, or give its address.',
      option: 'peers',
    },
  },
  interrupted: {
    code: 'interrupted',
    initiator: { message: 'The connection to the other device broke off.', hint: again.initiator },
    joiner: {
      message: 'The connection to the other device broke off and did not come back.',
      hint: again.joiner,
    },
  },
  'too-many-tries': {
    code: 'burnt',
    initiator: { message: 'There were too many tries with this code.', hint: again.initiator },
    joiner: {
      message: 'Too many devices answered to this code, so somebody else knows it.',
      hint: `Make sure that nobody else sees the words. ${again.joiner}`,
    },
  },
}

/** Returns the error of a pairing that failed. `known`: the one who knows what kept the other device away. */
export function pairingError(reason: JoinFailure, role: Role, known?: PairingObserver): SpacedockError {
  const {
    code,
    [role]: { message, ...details },
  } = failures[reason]
  if (reason !== neverMet[role]) return new SpacedockError(code, message, details)
  const otherVersion = known?.otherVersion() ?? null
  if (otherVersion !== null) return otherVersion
  const obstacle = known?.obstacle() ?? null
  if (obstacle === null) return new SpacedockError(code, message, details)
  const found = describeFinding(obstacle, role === 'joiner' ? 'join' : 'pair')
  // A code that has expired is of no use any more, whatever is mended.
  const hint = role === 'joiner' ? found.hint : `${found.hint} ${again.initiator}`
  return new SpacedockError(code, `${message.slice(0, -1)}: ${describeCause(obstacle)}.`, { hint })
}

/** Outcome of a pairing in which the two have not met. */
const neverMet: Record<Role, JoinFailure> = { initiator: 'expired', joiner: 'not-found' }

/** Returns the storage's own error about it, when there is one. */
export function storageFailure(cause: unknown): SpacedockError {
  return cause instanceof SpacedockError ? cause : pairingError('persist-failed', 'joiner')
}

/** Returns the error for a yes of both sides whose last word, or the answer to it, got lost. */
export function unfinishedPairing(cause?: unknown): SpacedockError {
  return new SpacedockError('interrupted', 'The other device has not confirmed the pairing yet.', {
    hint: 'It finishes by itself as soon as both devices are connected; pairing again helps too.',
    cause: cause ?? undefined,
  })
}
