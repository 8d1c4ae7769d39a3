import { SpacedockError, type ErrorCode } from '../errors.ts'
import type { JoinFailure } from '../pairing/joiner.ts'

const again = 'Run `spacedock pair` again for a new code.'

const failures: Record<JoinFailure, { code: ErrorCode; initiator: string; joiner: string; hint: string }> = {
  declined: {
    code: 'declined',
    initiator: 'the pairing was declined',
    joiner: 'the pairing was declined',
    hint: again,
  },
  used: {
    code: 'used',
    initiator: 'this code has already paired a device',
    joiner: 'this code has already been used to pair a device',
    hint: 'If that was not you, look at `spacedock devices` on the device that showed the code, and revoke what you do not know.',
  },
  expired: {
    code: 'expired',
    initiator: 'the code expired before a device was paired',
    joiner: 'this code has expired',
    hint: again,
  },
  cancelled: {
    code: 'cancelled',
    initiator: 'the pairing was cancelled',
    joiner: 'the pairing was cancelled',
    hint: again,
  },
  burnt: {
    code: 'burnt',
    initiator: 'somebody who knows the code tried to misuse it, so it was made void',
    joiner: 'the code was made void, because somebody who knows it tried to misuse it',
    hint: `Make sure that nobody else sees the words. ${again}`,
  },
  failed: {
    code: 'interrupted',
    initiator: 'the pairing could not be saved',
    joiner: 'the other device could not save the pairing',
    hint: 'Look at what the other device says.',
  },
  'persist-failed': {
    code: 'interrupted',
    initiator: 'the pairing could not be saved',
    joiner: 'the pairing could not be saved',
    hint: again,
  },
  'not-found': {
    code: 'not-found',
    initiator: 'nobody joined',
    joiner: 'no device that shows this code was found',
    hint: 'Check that the other device still shows the code and is on the same network, or give its address with --peer.',
  },
  interrupted: {
    code: 'interrupted',
    initiator: 'the connection to the other device broke off',
    joiner: 'the connection to the other device broke off and did not come back',
    hint: again,
  },
  'too-many-tries': {
    code: 'burnt',
    initiator: 'too many tries with this code',
    joiner: 'too many devices answered to this code: somebody else knows it',
    hint: again,
  },
}

export function pairingError(reason: JoinFailure, role: 'initiator' | 'joiner'): SpacedockError {
  const { code, hint, ...message } = failures[reason]
  return new SpacedockError(code, message[role], { hint })
}

/** What the storage said about it, when it said anything. */
export function storageFailure(cause: unknown): SpacedockError {
  return cause instanceof SpacedockError ? cause : pairingError('persist-failed', 'joiner')
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
