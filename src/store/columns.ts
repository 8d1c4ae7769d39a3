import * as v from 'valibot'
import type { PeerId } from '../pairing/peer-id.ts'

/** Whole milliseconds since the epoch that a Date can hold (ECMA-262, 21.4.1.1). */
export const epochMilliseconds = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(-8.64e15),
  v.maxValue(8.64e15),
)

/** A column of peer ids, each of which was one when it was written. */
export const peerIdColumn = v.custom<PeerId>((value) => typeof value === 'string')
