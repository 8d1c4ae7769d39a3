/** Orders to a program that pairs. */
export type PairingOrder =
  /** Starts a new device. Answers with the network that the other one is to be told, if it needs one. */
  | { do: 'start'; network?: string }
  /** Shows a code; answers with what `join` needs. */
  | { do: 'invite' }
  /** Answers with the time at which the device that joined by the last code was known. */
  | { do: 'paired' }
  /** Joins; answers with a `Joining`. */
  | { do: 'join'; address: string }

/** Times of the call and of its end, by the clock that all processes of a machine have in common. */
export interface Joining {
  startedMs: number
  endedMs: number
}

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
