import assert from 'node:assert/strict'
import { advance as advanceInitiator } from '../../src/pairing/initiator.ts'
import {
  startInitiator,
  type InitiatorEffect,
  type InitiatorEvent,
  type InitiatorState,
} from '../../src/pairing/initiator-state.ts'
import { advance as advanceJoiner } from '../../src/pairing/joiner.ts'
import {
  startJoiner,
  type JoinerEffect,
  type JoinerEvent,
  type JoinerState,
} from '../../src/pairing/joiner-state.ts'
import type { MachineContext } from '../../src/pairing/machine.ts'
import { deriveCodeKeys, type CodeKeys } from '../../src/pairing/key-schedule.ts'
import { invitationLifetimeMs } from '../../src/pairing/limits.ts'
import type { MessageOf, PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/** Both machines with real cryptography, fixed bytes in place of randomness, and a clock that only tests move. */

export const aliceId = asPeer('12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa')
export const bobId = asPeer('12D3KooWPcv49Vv6DvkaUueyFqz2aid1oH77FLj4wXEd4xqUNQvu')
export const carolId = asPeer('12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp')
export const malloryId = asPeer('12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD')

export const code: CodeKeys = deriveCodeKeys(suite1, new Uint8Array(16).fill(7))
export const otherCode: CodeKeys = deriveCodeKeys(suite1, new Uint8Array(16).fill(8))

/** 32 bytes each, different for every number. */
export function freshBytes(seed: number): { nonce: Uint8Array; secret: Uint8Array } {
  return {
    nonce: suite1.hash(Uint8Array.of(seed, seed >> 8, 0)),
    secret: suite1.hash(Uint8Array.of(seed, seed >> 8, 1)),
  }
}

/** How a message of this type reaches an initiator. */
export function initiatorEvent(peer: PeerId, message: PairingMessage, seed = 0): InitiatorEvent | null {
  switch (message.type) {
    case 'PairingRequest':
      return { type: 'request', peer, message, fresh: freshBytes(1000 + seed) }
    case 'Response':
      return { type: 'response', peer, message }
    case 'Confirmed':
      return { type: 'confirmed', peer, message }
    case 'Cancel':
      return { type: 'cancel-received', peer, message }
    case 'Challenge':
    case 'Waiting':
    case 'Complete':
    case 'Refused':
    case 'Acknowledged':
      return null
  }
}

interface PartyOptions<State> {
  peer?: PeerId
  name?: string
  keys?: CodeKeys
  state?: State
  now?: number
}

export class InitiatorParty {
  state: InitiatorState
  now: number
  readonly context: Omit<MachineContext, 'now'>
  readonly effects: InitiatorEffect[] = []
  #seed = 0

  constructor(options: PartyOptions<InitiatorState> = {}) {
    const { peer = aliceId, name = 'Alice', keys = code, now = 0 } = options
    this.context = { suite: suite1, keys, localPeerId: peer, deviceName: name }
    this.now = now
    this.state = options.state ?? startInitiator(now + invitationLifetimeMs)
  }

  deliver(event: InitiatorEvent): InitiatorEffect[] {
    const step = advanceInitiator({ ...this.context, now: this.now }, this.state, event)
    this.state = step.state
    this.effects.push(...step.effects)
    return step.effects
  }

  /** What the initiator answers to a message; null for silence. */
  hear(peer: PeerId, message: PairingMessage): PairingMessage | null {
    const event = initiatorEvent(peer, message, this.#seed++)
    if (event === null) return null
    const answer = this.deliver(event).find((effect) => effect.type === 'answer')
    return answer?.message ?? null
  }
}

export class JoinerParty {
  state: JoinerState
  now: number
  readonly context: Omit<MachineContext, 'now'>
  readonly effects: JoinerEffect[] = []
  #seed: number

  constructor(options: PartyOptions<JoinerState> & { deadline?: number; seed?: number } = {}) {
    const { peer = bobId, name = 'Bob', keys = code, now = 0 } = options
    this.context = { suite: suite1, keys, localPeerId: peer, deviceName: name }
    this.now = now
    this.state = options.state ?? startJoiner(options.deadline ?? now + 300_000)
    this.#seed = options.seed ?? 0
  }

  deliver(event: JoinerEvent): JoinerEffect[] {
    const step = advanceJoiner({ ...this.context, now: this.now }, this.state, event)
    this.state = step.state
    this.effects.push(...step.effects)
    return step.effects
  }

  /** Finds a peer, and returns what it is asked. */
  find(peer: PeerId): MessageOf<'PairingRequest'> {
    const asked = this.deliver({ type: 'candidate', peer, fresh: freshBytes(this.#seed++) }).find(
      (effect) => effect.type === 'ask-peer',
    )
    assert.ok(asked, 'the peer is asked')
    return asked.message
  }

  /** Brings the answer to the last message; returns what is said next, if anything. */
  hear(peer: PeerId, message: PairingMessage): PairingMessage | null {
    const next = this.deliver({ type: 'answered', peer, message }).find(
      (effect) => effect.type === 'repeat' || effect.type === 'send',
    )
    return next?.message ?? null
  }
}

/** Fails unless the message is of this type. */
export function expectMessage<Type extends PairingMessage['type']>(
  message: PairingMessage | null | undefined,
  type: Type,
): MessageOf<Type> {
  assert.equal(message?.type, type)
  return message as MessageOf<Type>
}

export interface Meeting {
  messages: {
    request: MessageOf<'PairingRequest'>
    challenge: MessageOf<'Challenge'>
    response: MessageOf<'Response'>
    complete: MessageOf<'Complete'>
    confirmed: MessageOf<'Confirmed'>
    /** Called off while the other side waited. */
    cancelOfInitiator: MessageOf<'Cancel'>
    cancelOfJoiner: MessageOf<'Cancel'>
    /** Carol also holds the code, has a Challenge, and comes too late. */
    carolRequest: MessageOf<'PairingRequest'>
    carolResponse: MessageOf<'Response'>
    cancelOfCarol: MessageOf<'Cancel'>
  }
  initiator: Record<InitiatorPhase, InitiatorState>
  joiner: Record<JoinerPhase, JoinerState>
  digits: string
}

export type InitiatorPhase = InitiatorState['phase']
export type JoinerPhase = JoinerState['phase']

/** Alice and Bob pair at time 0, with Carol a moment behind him: every message said, and each machine in every phase. */
export function meet(): Meeting {
  const [alice, bob, carol] = [
    new InitiatorParty(),
    new JoinerParty(),
    new JoinerParty({ peer: carolId, seed: 50 }),
  ]
  const carolRequest = carol.find(aliceId)
  const carolResponse = expectMessage(
    carol.hear(aliceId, expectMessage(alice.hear(carolId, carolRequest), 'Challenge')),
    'Response',
  )
  const cancelOfCarol = cancelOf(carol.deliver({ type: 'cancelled' }))

  const request = bob.find(aliceId)
  const searching = bob.state
  const challenge = expectMessage(alice.hear(bobId, request), 'Challenge')
  const open = alice.state
  const response = expectMessage(bob.hear(aliceId, challenge), 'Response')
  const responding = bob.state
  expectMessage(alice.hear(bobId, response), 'Waiting')
  const approving = alice.state
  alice.deliver({ type: 'approved' })
  const persisting = alice.state
  alice.deliver({ type: 'persisted' })
  const completed = alice.state
  const complete = expectMessage(alice.hear(bobId, response), 'Complete')
  bob.hear(aliceId, complete)
  const deciding = bob.state
  bob.deliver({ type: 'approved' })
  const joinerPersisting = bob.state
  const confirmed = expectMessage(firstRepeated(bob.deliver({ type: 'persisted' })), 'Confirmed')
  const confirming = bob.state
  alice.hear(bobId, confirmed)
  const activating = alice.state
  alice.deliver({ type: 'persisted' })
  const paired = alice.state
  bob.hear(aliceId, expectMessage(alice.hear(bobId, confirmed), 'Acknowledged'))
  const joinerActivating = bob.state
  bob.deliver({ type: 'persisted' })

  const late = new InitiatorParty({ state: completed, now: 120_000 })
  late.deliver({ type: 'tick' })
  const declining = new InitiatorParty({ state: approving })
  declining.deliver({ type: 'declined' })
  const leaving = new InitiatorParty({ state: approving })
  const lonely = new JoinerParty({ state: confirming, now: 60_000 })
  lonely.deliver({ type: 'tick' })
  const givingUp = new JoinerParty({ state: responding })
  const cancelOfJoiner = cancelOf(givingUp.deliver({ type: 'cancelled' }))

  return {
    messages: {
      request,
      challenge,
      response,
      complete,
      confirmed,
      cancelOfInitiator: cancelOf(leaving.deliver({ type: 'cancelled' })),
      cancelOfJoiner,
      carolRequest,
      carolResponse,
      cancelOfCarol,
    },
    initiator: {
      open,
      approving,
      persisting,
      completed,
      activating,
      paired,
      unconfirmed: late.state,
      ended: declining.state,
    },
    joiner: {
      searching,
      responding,
      deciding,
      persisting: joinerPersisting,
      confirming,
      activating: joinerActivating,
      paired: bob.state,
      unfinished: lonely.state,
      failed: givingUp.state,
    },
    digits: responding.phase === 'responding' ? responding.exchange.digits : '',
  }
}

/** The same bytes with one bit turned. */
export function flipped(bytes: Uint8Array, index = 0): Uint8Array {
  return bytes.map((byte, position) => (position === index ? byte ^ 1 : byte))
}

function cancelOf(effects: (InitiatorEffect | JoinerEffect)[]): MessageOf<'Cancel'> {
  const sent = effects.find((effect) => effect.type === 'send')
  return expectMessage(sent?.message, 'Cancel')
}

function firstRepeated(effects: JoinerEffect[]): PairingMessage | undefined {
  return effects.find((effect) => effect.type === 'repeat')?.message
}
