import type { ForeignProgram } from './foreign-program.ts'
import { lanScenarios } from './scenarios/lan.ts'
import { libp2pScenarios } from './scenarios/libp2p.ts'
import { pairingScenarios } from './scenarios/pairing.ts'
import { refusalScenarios } from './scenarios/refusals.ts'
import { rendezvousNodeScenarios, rendezvousScenarios } from './scenarios/rendezvous.ts'
import { revocationScenarios } from './scenarios/revocation.ts'
import { sessionScenarios } from './scenarios/sessions.ts'
import { streamScenarios } from './scenarios/streams.ts'

const scenarios = {
  pairing: pairingScenarios,
  refusals: refusalScenarios,
  lan: lanScenarios,
  libp2p: libp2pScenarios,
  sessions: sessionScenarios,
  streams: streamScenarios,
  revocation: revocationScenarios,
  rendezvous: rendezvousScenarios,
  'rendezvous node': rendezvousNodeScenarios,
}

export type Part = keyof typeof scenarios

/** All that is played with a program; a sentence in its place is the reason why there is none to play with. */
export function playScenarios(
  name: string,
  program: ForeignProgram | string,
  parts: readonly Part[] = Object.keys(scenarios) as Part[],
): void {
  for (const part of parts) scenarios[part](name, program)
}
