import { startInitiator } from '../../src/pairing/initiator-state.ts'
import type { MachineContext } from '../../src/pairing/machine.ts'
import { startJoiner } from '../../src/pairing/joiner-state.ts'
import { alice, answerOf, bob, newCode } from './pure-sides.ts'
import { randomBytes } from 'node:crypto'
import * as initiator from '../../src/pairing/initiator.ts'
import * as joiner from '../../src/pairing/joiner.ts'
import type { MessageOf } from '../../src/pairing/pairing-messages.ts'
import * as hello from '../../src/network/session/session-hello.ts'
import { fresh, initiator as initiatorSide, makeRequest, makeResponse } from './by-hand.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** Attacks on what is pure: the machines, and the proofs of a session. */
export const threats: Threat[] = [
  {
    row: 7,
    title: "a listener's session proof echoed back as the dialer's is rejected",
    attack: async () => echoSessionProof(),
    without: [
      {
        what: 'the role in the proof',
        patches: [
          {
            file: 'src/network/session/session-hello.ts',
            find: `prove('dialer', key,`,
            replace: `prove('listener', key,`,
          },
        ],
      },
    ],
  },
  {
    row: 11,
    title: 'nothing that can be chosen after the commitment enters the digits',
    attack: async () => grindFields(),
    without: [
      {
        what: 'digits that end with the commitment',
        patches: [
          {
            file: 'src/pairing/initiator-handshake.ts',
            find: `deriveDigits(suite, agreed, opening)`,
            replace: `deriveDigits(suite, agreed, responded)`,
          },
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `deriveDigits(suite, keys, opening)`,
            replace: `deriveDigits(suite, keys, responded)`,
          },
        ],
      },
    ],
  },
  {
    row: 11,
    title: 'an initiator gives eight Challenges at most, a joiner eight Responses, each to a new commitment',
    attack: async () => grindAttempts(),
    without: [
      {
        what: "the initiator's limit",
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (state.challenges >= maxTries) {`,
            replace: `if (false) {`,
          },
        ],
      },
      {
        what: "the joiner's limit",
        patches: [
          { file: 'src/pairing/joiner.ts', find: `if (state.responses >= maxTries)`, replace: `if (false)` },
        ],
      },
      {
        what: 'a new commitment for each search',
        patches: [
          {
            file: 'src/pairing/joiner.ts',
            find: `const seed = state.seed ?? context.suite.extract(fresh.nonce, fresh.secret)`,
            replace: `const seed = new Uint8Array(32)`,
          },
        ],
      },
    ],
  },
]

function echoSessionProof(): Verdict {
  const peers = { dialer: new Uint8Array(randomBytes(38)), listener: new Uint8Array(randomBytes(38)) }
  const key: hello.PairKey = { key: fresh().secret, slot: 'settled' }
  const secrets = { instance: new Uint8Array(16), nonce: fresh().nonce }
  const dialerHello = hello.encodeDialerHello(peers, secrets, [{ key: fresh().secret, slot: 'settled' }])
  const listenerHello = hello.encodeListenerHello(peers, secrets, dialerHello, key)
  const echo = listenerHello.slice(-32)
  return unless(
    { 'the echo passes': hello.verifyDialerProof(peers, dialerHello, listenerHello, echo, key) },
    'the echo of a right proof does not pass',
  )
}

function grindFields(): Verdict {
  const { asInitiator, asJoiner } = newCode()
  const candidate = makeRequest(asJoiner, asPeer(alice))
  const start = startInitiator(1_000)
  const requested = initiator.advance(asInitiator, start, {
    type: 'request',
    peer: asPeer(bob),
    message: candidate.request,
    fresh: fresh(),
  })
  const challenge = answerOf(requested, 'Challenge')
  const onAlicesScreen = new Set<string>()
  const onBobsScreen = new Set<string>()
  for (let name = 0; name < 200; name++) {
    const exchange = makeResponse(asJoiner, candidate, challenge, {
      description: JSON.stringify({ name: `n${name}` }),
    })
    const { effects } = initiator.advance(asInitiator, requested.state, {
      type: 'response',
      peer: asPeer(bob),
      message: exchange.response,
    })
    const question = effects.find((effect) => effect.type === 'ask')
    if (question === undefined) return succeeded('a right Response was not taken')
    onAlicesScreen.add(question.digits)
  }
  // The joiner's side: whatever stands in the initiator's Complete, the digits were on the screen before.
  for (let name = 0; name < 20; name++) {
    const honest = initiatorSide.makeAttempt(
      asInitiator,
      { peer: asPeer(bob), requested: candidate.requested, commitment: candidate.request.commitment },
      { nonce: challenge.nonce, secret: new Uint8Array(32).fill(9) },
      0,
    )
    const context = { ...asJoiner, deviceName: `n${name}` }
    const { effects } = joiner.advance(
      context,
      { phase: 'searching', seed: new Uint8Array(32).fill(3), deadline: 1_000, responses: 0 },
      {
        type: 'answered',
        peer: asPeer(alice),
        message: challengeFor(context, asInitiator, honest.secret, challenge.nonce),
      },
    )
    const shown = effects.find((effect) => effect.type === 'show-digits')
    if (shown === undefined) return succeeded('a right Challenge was not taken')
    onBobsScreen.add(shown.digits)
  }
  return unless(
    {
      'the name of the joiner changes the digits': onAlicesScreen.size > 1 || onBobsScreen.size > 1,
    },
    '220 sealed fields and proofs, always the same digits',
  )
}

/** The same Challenge for what the joiner's seed makes it say, whatever its name is. */
function challengeFor(
  context: MachineContext,
  asInitiator: MachineContext,
  secret: Uint8Array,
  nonce: Uint8Array,
): MessageOf<'Challenge'> {
  const asked = joiner
    .advance(
      context,
      { phase: 'searching', seed: new Uint8Array(32).fill(3), deadline: 1_000, responses: 0 },
      { type: 'candidate', peer: asPeer(alice), fresh: fresh() },
    )
    .effects.find((effect) => effect.type === 'ask-peer')
  if (asked === undefined) throw new Error('the joiner asks nobody')
  const answered = initiator.advance(asInitiator, startInitiator(1_000), {
    type: 'request',
    peer: asPeer(bob),
    message: asked.message,
    fresh: { nonce, secret },
  })
  return answerOf(answered, 'Challenge')
}

function grindAttempts(): Verdict {
  const { asInitiator, asJoiner } = newCode()
  let shown = startInitiator(1_000)
  let challenges = 0
  for (let attempt = 0; attempt < 20; attempt++) {
    const { request } = makeRequest(asJoiner, asPeer(alice))
    const step = initiator.advance(asInitiator, shown, {
      type: 'request',
      peer: asPeer(bob),
      message: request,
      fresh: fresh(),
    })
    shown = step.state
    if (step.effects.some((effect) => effect.type === 'answer' && effect.message.type === 'Challenge'))
      challenges++
  }

  let looking = startJoiner(10_000_000)
  const nonces: string[] = []
  let now = 0
  for (let attempt = 0; attempt < 20; attempt++) {
    const context = { ...asJoiner, now }
    const asked = joiner.advance(context, looking, { type: 'candidate', peer: asPeer(alice), fresh: fresh() })
    const question = asked.effects.find((effect) => effect.type === 'ask-peer')
    if (question === undefined) break
    const challenge = answerOf(
      initiator.advance(asInitiator, startInitiator(10_000_000), {
        type: 'request',
        peer: asPeer(bob),
        message: question.message,
        fresh: fresh(),
      }),
      'Challenge',
    )
    const answered = joiner.advance(context, asked.state, {
      type: 'answered',
      peer: asPeer(alice),
      message: challenge,
    })
    const response = answered.effects.find((effect) => effect.type === 'repeat')
    looking = answered.state
    if (response?.message.type !== 'Response') break
    nonces.push(Buffer.from(response.message.nonce).toString('hex'))
    // He never answers the Response: the joiner gives up on him, and looks on.
    now += 75_000
    looking = joiner.advance({ ...asJoiner, now }, looking, { type: 'tick' }).state
  }
  return unless(
    {
      [`the initiator gives ${challenges} Challenges`]: challenges !== 8,
      [`the joiner gives ${nonces.length} Responses`]: nonces.length !== 8,
      'the joiner opens the same commitment twice': new Set(nonces).size !== nonces.length,
    },
    `${challenges} Challenges, ${nonces.length} Responses, ${new Set(nonces).size} commitments`,
  )
}
