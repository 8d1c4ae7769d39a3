import { test } from 'node:test'
import type { ForeignProgram } from './foreign-program.ts'
import { libp2pScenarios } from './scenarios/libp2p.ts'
import { networkScenarios } from './scenarios/networks.ts'
import { pairingScenarios } from './scenarios/pairing.ts'
import { refusalScenarios } from './scenarios/refusals.ts'
import { rendezvousNodeScenarios, rendezvousScenarios } from './scenarios/rendezvous.ts'
import { revocationScenarios } from './scenarios/revocation.ts'
import { sessionScenarios } from './scenarios/sessions.ts'
import { streamScenarios } from './scenarios/streams.ts'

const scenarios = {
  pairing: pairingScenarios,
  refusals: refusalScenarios,
  networks: networkScenarios,
  libp2p: libp2pScenarios,
  sessions: sessionScenarios,
  streams: streamScenarios,
  revocation: revocationScenarios,
  rendezvous: rendezvousScenarios,
  'rendezvous node': rendezvousNodeScenarios,
}

type Part = keyof typeof scenarios

/**
 * All that is played with a program, but for parts that it has not, each with the reason. A sentence in the place of the program
 * is the reason why there is none to play with.
 */
export function playScenarios(
  name: string,
  program: ForeignProgram | string,
  without: Partial<Record<Part, string>> = {},
): void {
  for (const part of Object.keys(scenarios) as Part[]) {
    const reason = without[part]
    if (reason === undefined) scenarios[part](name, program)
    else test(`${name}: ${part}`, { skip: reason }, () => {})
  }
}
