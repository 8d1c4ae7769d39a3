import { maxPorts, pairsOf, type Agreement, type PortPair } from './opening-agreement.ts'

/** Schedule of the dials in one attempt. */
export interface Schedule {
  /** Limit of the pairs of ports, on both sides. */
  most: number
  pairs: PortPair[]
  /** Delay after the other side is told to begin. */
  waitMs: number
  spacingMs: number
  windowMs: number
  /** Number of attempts that are worth their time. */
  attempts: number
}

/**
 * Schedules an attempt so that both sides' packets cross on the path. On a short path they do so for less time than programs take
 * to send one when they should: there, several are sent one after the other, around the moment at which the other side sends all
 * of its own.
 */
export function scheduleOf(agreement: Agreement, roundTripMs: number, isShort: boolean): Schedule {
  const kinds = [agreement.own.end.kind, agreement.theirs.kind]
  const isSpread = isShort && kinds.every((kind) => kind === 'certain')
  const most = isSpread ? maxPorts : 1
  // A second attempt with the same port would end as the first.
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
/** Limit on short paths: attempts take little time there, and fewer of them are exact enough. */
const maxShortAttempts = 16
export const shortRoundTripMs = 60
/** Allowance for slow computers. A lost packet is not waited for: another attempt is faster. */
const patienceMs = 300
