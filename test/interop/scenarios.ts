import { pairingScenarios } from './scenarios/pairing.ts'
import type { ForeignProgram } from './foreign-program.ts'

/** All that is played with a program. What it is given is the reason when there is no program to play with. */
export function playScenarios(name: string, program: ForeignProgram | string): void {
  pairingScenarios(name, program)
}
