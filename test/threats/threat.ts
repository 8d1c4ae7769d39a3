import type { Scene } from './scene.ts'

/** One attack on one row of the table in docs/threats.md. */
export interface Threat {
  row: number
  title: string
  attack: Attack
  /** How long it takes, roughly, when that is long: those begin first. */
  seconds?: number
  /** Each takes one defence away; the same attack has to succeed then, or the test could not fail. */
  without: readonly Without[]
}

export type Attack = (scene: Scene) => Promise<Verdict>

export interface Without {
  what: string
  /** How the source looks without the defence. */
  patches?: readonly Patch[]
  /** In place of patches, for an attack that reads the source instead of running it. */
  attack?: Attack
}

/** `find` must stand in the file exactly once: a control that no longer fits the source is an error. */
export interface Patch {
  /** Relative to the project. */
  file: string
  find: string
  replace: string
}

export interface Verdict {
  withstood: boolean
  /** What was seen, in a few words. */
  seen: string
}

export function withstood(seen: string): Verdict {
  return { withstood: true, seen }
}

export function succeeded(seen: string): Verdict {
  return { withstood: false, seen }
}

/** Succeeds with the first condition that holds, and is withstood when none does. */
export function unless(breaches: Record<string, boolean>, seen: string): Verdict {
  const breach = Object.entries(breaches).find(([, happened]) => happened)
  return breach === undefined ? withstood(seen) : succeeded(breach[0])
}
