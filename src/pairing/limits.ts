/** Numbers of the pairing protocol. PROTOCOL.md, 'Limits', says why each is what it is. */

/** Lifetime of a code, on the initiator's monotonic clock. */
export const invitationLifetimeMs = 300_000
/** Time for each person to answer, after the code has been proved. */
export const approvalMs = 60_000
/** Time for the joiner's last word after the initiator's yes, before the initiator reports a loose end. */
export const confirmationMs = 120_000
/** Time that the joiner repeats its Response: the other person's time to answer and some for the network. */
export const responseMs = 75_000
/** Time that the joiner repeats its Confirmed before it leaves the rest to the next connection. */
export const acknowledgementMs = 60_000
/** Time that an ended invitation still tells holders of its code why. */
export const remembranceMs = 600_000
/** Time in which a pairing that one side has not confirmed may still heal. */
export const provisionalLifetimeMs = 7 * 24 * 3_600_000

/** Number of Challenges per invitation, and of Responses per join: bounds the guessing of six digits by a thief of the code. */
export const maxTries = 8
/** Number of attempts at once for which a Challenge is out and no Response is back. */
export const maxOpenAttempts = 4
/** Time that such an attempt keeps its place. */
export const attemptMs = 10_000
