import * as v from 'valibot'

/** Whole milliseconds since the epoch that a Date can hold (ECMA-262, 21.4.1.1). */
export const epochMilliseconds = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(-8.64e15),
  v.maxValue(8.64e15),
)
