import type { MachineContext } from '../../src/pairing/machine.ts'
import type { InitiatorStep } from '../../src/pairing/initiator-state.ts'
import { randomBytes } from 'node:crypto'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import type { MessageOf } from '../../src/pairing/pairing-messages.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { contextOf } from './by-hand.ts'
import { expectType } from './hand-joiner.ts'

export const alice = '12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa'
export const bob = '12D3KooWPcv49Vv6DvkaUueyFqz2aid1oH77FLj4wXEd4xqUNQvu'

/** What both machines of one pairing are given, at 0 ms. */
export function newCode(): { asInitiator: MachineContext; asJoiner: MachineContext } {
  const keys = deriveCodeKeys(suite1, new Uint8Array(randomBytes(16)))
  return { asInitiator: { ...contextOf(keys, alice), now: 0 }, asJoiner: { ...contextOf(keys, bob), now: 0 } }
}

/** The answer in a step of the initiator's machine; fails when it is another one. */
export function answerOf<Type extends 'Challenge' | 'Waiting' | 'Refused'>(
  { effects }: InitiatorStep,
  type: Type,
): MessageOf<Type> {
  const answer = effects.find((effect) => effect.type === 'answer')
  return expectType(answer?.message ?? null, type)
}
