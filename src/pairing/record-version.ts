/** First byte of an address record's content, and all that other versions are known to have in common. */
export const recordVersion = 1
