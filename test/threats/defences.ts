import type { Patch } from './threat.ts'

/** Defences that stand against more than one attack, as the source looks without them. */

export const noPeerIds: Patch = {
  file: 'src/pairing/transcript.ts',
  find: `step(suite, 'start', suite.name, initiatorPeerId, joinerPeerId)`,
  replace: `step(suite, 'start', suite.name)`,
}

export const noRepetition: Patch = {
  file: 'src/pairing/initiator.ts',
  find: `  if (repeated !== undefined) return repeated.isClosed ? silence(state) : answer(state, repeated.challenge)\n`,
  replace: ``,
}

export const noProbe: Patch = {
  file: 'src/pairing/initiator-handshake.ts',
  find: `message.suite === suite.name && sameMac(message.probe, requestProbe(context, start, message.commitment))`,
  replace: `message.suite === suite.name`,
}
