/** The numbers of the pairing protocol. PROTOCOL.md, 'Limits', says why each is what it is. */

/** How long a code can be used, on the initiator's monotonic clock. */
export const invitationLifetimeMs = 300_000
/** How long each person has to answer, after the code has been proved. */
export const approvalMs = 60_000
/** How long an initiator that said yes waits for the joiner's last word before it reports a loose end. */
export const confirmationMs = 120_000
/** How long the joiner repeats its Response: the other person's time to answer and some for the network. */
export const responseMs = 75_000
/** How long the joiner repeats its Confirmed before it leaves the rest to the next connection. */
export const acknowledgementMs = 60_000
/** How long an ended invitation still tells holders of its code why. */
export const remembranceMs = 600_000
/** How long a pairing that one side has not confirmed may still heal. */
export const provisionalLifetimeMs = 7 * 24 * 3_600_000

/** Challenges per invitation, and Responses per join: what bounds the guessing of six digits by a thief of the code. */
export const maxTries = 8
/** Attempts at once for which a Challenge is out and no Response is back. */
export const maxOpenAttempts = 4
/** How long such an attempt keeps its place. */
export const attemptMs = 10_000
