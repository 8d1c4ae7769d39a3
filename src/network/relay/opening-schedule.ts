import { maxPorts, pairsOf, type Agreement, type PortPair } from './opening-agreement.ts'

/** When to dial what, in one attempt. */
export interface Schedule {
  /** Of the pairs of ports, on both sides. */
  most: number
  pairs: PortPair[]
  /** From the moment at which the other side is told to begin. */
  waitMs: number
  spacingMs: number
  windowMs: number
  /** How many of them are worth their while. */
  attempts: number
}

/**
 * Both sides' packets have to be under way at the same time. On a short way that is for less time than programs take to send one
 * when they should: there, several are sent one after the other, around the moment at which the other side sends all of its own.
 */
export function scheduleOf(agreement: Agreement, roundTripMs: number, isShort: boolean): Schedule {
  const kinds = [agreement.own.end.kind, agreement.theirs.kind]
  const isSpread = isShort && kinds.every((kind) => kind === 'certain')
  const most = isSpread ? maxPorts : 1
  // The same port again would end as before.
  const attempts = kinds.includes('unproven') ? 1 : isShort ? maxShortAttempts : maxAttempts
  return {
    most,
    pairs: pairsOf(agreement, most),
    waitMs: isSpread ? roundTripMs / 4 : roundTripMs / 2,
    spacingMs: isSpread ? roundTripMs / 12 : 0,
    windowMs: 2 * roundTripMs + patienceMs,
    attempts,
  }
}

const maxAttempts = 6
/** They take little time each, and fewer of them are exact enough. */
const maxShortAttempts = 16
export const shortRoundTripMs = 60
/** For what is slow on either machine. A packet that was lost is not waited for: another attempt is faster. */
const patienceMs = 300
