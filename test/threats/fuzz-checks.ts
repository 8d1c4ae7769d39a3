import { SpacedockError } from '../../src/errors.ts'
import type { FuzzInput } from './fuzz-input.ts'

/** One decoder: throws when it let something escape, or kept too much. */
export interface FuzzTarget {
  name: string
  once: (input: FuzzInput) => void | Promise<void>
}

export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** Runs what may only fail with an error of ours. */
export function onlyOurs<Result>(work: () => Result): Result | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof SpacedockError && error.code !== 'internal') return undefined
    throw error
  }
}

export function sameBytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(7)
}
