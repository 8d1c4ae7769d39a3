/** Numbers of the record of a set of devices. Decision 48 says why. */

/** Devices that a link may bring together. Links made at once on both sides of a partition may lead to more. */
export const maxMembers = 64
/** Identities that the past of a statement may name, its own among them. */
export const maxIdentities = 512
/** Highest number that an identity gives to a statement; the first is 1. */
export const maxNumber = 256
/** Statements that one names as those it follows. */
export const maxPredecessors = 32
/** One statement with its signatures, encoded. */
export const maxStatementBytes = 1_536
/** Bytes of a statement and all it follows, for one that adds a device. */
export const maxPastBytesOfAdditions = 384 * 1024
/** The same for a removal: a quarter is kept for them. */
export const maxPastBytesOfRemovals = 512 * 1024
/** Bytes that a device holds beyond which it takes nothing but removals. */
export const maxHeldBytesOfAdditions = 768 * 1024
/** Bytes that a device holds. */
export const maxHeldBytes = 1024 * 1024
