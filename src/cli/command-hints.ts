import { SpacedockError, type ErrorCode } from '../errors.ts'

/**
 * Rewrites the library's error for the command line. Its hint names neither commands nor options, because it may stand in any
 * application's window; the way to do it on the command line follows it here.
 */
export function withCommandHint(error: SpacedockError): SpacedockError {
  const { code, message, hint, option, choices, cause } = error
  const added = additionTo(error)
  if (added === null) return error
  const both = hint === undefined ? added : `${hint} ${added}`
  return new SpacedockError(code, message, { hint: both, option, choices, cause })
}

/** Rewrites a rejection of the library or the daemon for the command line. */
export async function told<Value>(promise: Promise<Value>): Promise<Value> {
  return promise.catch((error: unknown) => {
    throw error instanceof SpacedockError ? withCommandHint(error) : error
  })
}

function additionTo({ code, option, choices }: SpacedockError): string | null {
  if (option !== undefined) return ofOption[option] ?? null
  // A person with devices is told their names.
  if (code === 'no-device' && choices?.length !== 0) return null
  return ofCode[code] ?? null
}

const newCode = '"spacedock pair" shows one.'
const pairBoth = '"spacedock pair" on one and "spacedock join" on the other do that.'

const ofCode: Partial<Record<ErrorCode, string>> = {
  cancelled: newCode,
  declined: newCode,
  expired: newCode,
  burnt: newCode,
  used: '"spacedock devices" lists them.',
  'not-paired': pairBoth,
  'no-device': pairBoth,
}

/** Options of the command line by their names in the library. */
const ofOption: Record<string, string> = {
  dataDir: 'The option for it is --dir.',
  port: 'The option for it is --port.',
  interfaces: 'The option for it is --interface; "all" stands for all of them.',
  peers: '"spacedock status" on the other device shows it; the option for it is --peer.',
  rendezvous: '"spacedock rendezvous" prints it; the option for it is --rendezvous.',
}
